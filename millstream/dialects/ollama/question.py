"""The bodies of POST /api/chat and /api/generate → a question: https://docs.ollama.com/api/chat, …/generate"""

from __future__ import annotations

from collections.abc import Iterator

from millstream.dialects.fields import WHOLE_MOST, Fields, check_base64, wrong
from millstream.dialects.foreign import Object
from millstream.formats.objects import to_json
from millstream.question import (
    Image,
    Message,
    Options,
    Part,
    Question,
    Result,
    Shape,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)

CHAT, GENERATE = "ollama", "generate"
# Ollama sends no media type: the first base64 characters tell it.
TYPES = {"iVBORw": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}


def read(body: Object) -> Question:
    """Read POST /api/chat. Ignore options that other servers don't have."""
    asked = Fields(body)
    turns = asked.items("messages")
    if not turns:
        raise asked.wrong("messages", "has to be a list that is not empty")
    tools = tuple(_tool(tool) for tool in asked.items("tools"))
    choice = asked.get("tool_choice")  # ollama-ai-provider's own
    said = ToolChoice("none" if choice == "none" else "required" if choice == "required" and tools else "auto")
    return _question(asked, CHAT, tuple(_messages(turns)), tools, said)


def read_generate(body: Object) -> Question:
    """Read POST /api/generate."""
    asked = Fields(body)
    asked.leave("context", "raw", "template", "suffix")
    system = asked.text("system", "")
    said: tuple[Part, ...] = (Text(asked.text("prompt", "")), *_images(asked))
    messages = (*([Message("system", (Text(system),))] if system else []), Message("user", said))
    return _question(asked, GENERATE, messages, (), ToolChoice())


def _question(
    asked: Fields, dialect: str, messages: tuple[Message, ...], tools: tuple[Tool, ...], choice: ToolChoice
) -> Question:
    asked.leave("logprobs", "top_logprobs")
    use = asked.object("options") or Fields({})
    most = use.whole("num_predict", -2)
    flag = asked.flag("stream")
    temperature, top_p = use.number("temperature"), use.number("top_p", 0, 1)
    return Question(
        model=asked.model(),
        messages=messages,
        options=Options(
            temperature=asked.number("temperature") if temperature is None else temperature,
            top_p=asked.number("top_p", 0, 1) if top_p is None else top_p,
            top_k=use.whole("top_k"),
            max_tokens=asked.whole("max_output_tokens", 1) if most is None else most if most > 0 else None,
            stop=use.texts("stop"),
            seed=use.whole("seed", -WHOLE_MOST),
            presence_penalty=use.number("presence_penalty"),
            frequency_penalty=use.number("frequency_penalty"),
            shape=_shape(asked),
            effort=_effort(asked),
        ),
        tools=tools,
        choice=choice,
        stream=flag is not False,
        dialect=dialect,
        body=asked.values,
        beyond=tuple(asked.left),
    )


def _messages(turns: list[Fields]) -> Iterator[Message]:
    """Yield the messages. Most calls have no id, so they get one. Results belong to calls by id, otherwise by name,
    otherwise by order."""
    waiting: list[ToolCall] = []
    results: list[Part] = []
    for number, turn in enumerate(turns):
        role = turn.role("system", "user", "assistant", "tool")
        text = turn.text("content", "")
        if role == "tool":
            call = _called(turn, waiting)
            results.append(Result(call.id, (Text(text), *_images(turn)), name=call.name))
            continue
        if results:
            yield Message("tool", tuple(results))
            results = []
        parts: list[Part] = [Text(text)] if text else []
        if role == "assistant":
            thought = turn.text("thinking", "")
            calls = [_call(call, f"call_{number}_{k}") for k, call in enumerate(turn.items("tool_calls"))]
            waiting = list(calls)
            parts = [*([Thought(thought)] if thought else []), *parts, *calls]
        yield Message(role, (*parts, *_images(turn)) or (Text(""),))
    if results:
        yield Message("tool", tuple(results))


def _called(turn: Fields, waiting: list[ToolCall]) -> ToolCall:
    """The call that a result answers; none waits for it any more."""
    id, name = turn.text("tool_call_id", ""), turn.text("tool_name", "")
    for call in waiting:
        if (id and call.id == id) or (not id and (not name or call.name == name)):
            waiting.remove(call)
            return call
    raise turn.wrong("tool_call_id" if id else "tool_name", "answers no call that came before")


def _call(call: Fields, id: str) -> ToolCall:
    function = call.inner("function")
    return ToolCall(
        call.text("id", "") or id, function.text("name"), to_json(function.plain("arguments") or {}).decode()
    )


def _images(turn: Fields) -> list[Image]:
    found = turn.get("images") or []
    if not isinstance(found, list):
        raise turn.wrong("images", "has to be a list")
    return [Image(_picture(data, f"{turn.at('images')}[{n}]")) for n, data in enumerate(found)]


def _picture(data: object, path: str) -> str:
    if not isinstance(data, str):
        raise wrong(path, "has to be base64")
    check_base64(data, path)
    for begin, type in TYPES.items():
        if data.startswith(begin):
            return f"data:image/{type};base64,{data}"
    raise wrong(path, f"has to be one of {', '.join(TYPES.values())}")


def _tool(tool: Fields) -> Tool:
    function = tool.inner("function")
    schema = function.plain("parameters") or {"type": "object"}
    return Tool(function.text("name"), function.text("description", ""), schema)


def _shape(asked: Fields) -> Shape | None:
    format = asked.get("format")
    if format in (None, ""):
        return None
    return Shape("json_object") if format == "json" else Shape("json_schema", asked.plain("format"))


def _effort(asked: Fields) -> str | None:
    think = asked.get("think")
    if isinstance(think, str):
        return think
    flag = asked.flag("think")
    return None if flag is None else "medium" if flag else "none"
