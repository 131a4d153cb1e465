"""The body of POST /v1/responses → a question: https://platform.openai.com/docs/api-reference/responses/create"""

from __future__ import annotations

from collections.abc import Iterator

from millstream.dialects.fields import Fields
from millstream.dialects.foreign import Object
from millstream.dialects.signatures import untagged
from millstream.question import (
    File,
    Image,
    Message,
    Options,
    Part,
    Question,
    Result,
    Role,
    Shape,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)

NAME = "responses"
REDACTED = "/redacted"  # behind the origin of a thought that has no text
# Request fields that the response object repeats.
ECHOED = (
    "background",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "top_p",
    "truncation",
    "user",
)
OF_THE_QUESTION = ("instructions", "tools")  # said again only where the question may be kept


def read(body: Object) -> Question:
    """Read a question. Fields that don't change the answer are ignored. References have to be resolved already."""
    asked = Fields(body)
    if asked.get("conversation"):
        raise asked.wrong("conversation", "is not supported here: no upstream may keep one")
    asked.leave("prompt", "top_logprobs")
    if asked.flag("background") and asked.flag("store") is False:
        raise asked.wrong("store", "can't be false with background: the answer has to be kept")
    tools = tuple(_tool(tool) for tool in asked.items("tools") if tool.text("type") in ("function", "custom"))
    choice, tools = _choice(asked, tools)
    reasoning, text = asked.object("reasoning"), asked.object("text")
    instructions = asked.text("instructions", "")
    asked.object("metadata")
    messages = (*([Message("system", (Text(instructions),))] if instructions else []), *_input(asked))
    return Question(
        model=asked.model(),
        messages=messages,
        options=Options(
            temperature=asked.number("temperature", 0),
            top_p=asked.number("top_p", 0, 1),
            max_tokens=asked.whole("max_output_tokens", 1),
            shape=_shape(text.object("format")) if text else None,
            effort=(reasoning.text("effort", "") if reasoning else "") or None,
            parallel=asked.flag("parallel_tool_calls"),
        ),
        tools=tools,
        choice=choice,
        stream=bool(asked.flag("stream")),
        dialect=NAME,
        body=body,
        beyond=tuple(asked.left),
    )


def keeps(question: Question) -> bool:
    """Return True if the client allows its question to be kept, or needs it."""
    return question.body.get("store") is True or question.body.get("background") is True


def echo(question: Question) -> Object:
    names = (*ECHOED, *OF_THE_QUESTION) if keeps(question) else ECHOED
    said = {name: question.body[name] for name in names if question.body.get(name) is not None}
    custom = [tool.name for tool in question.tools if tool.custom]
    return said | ({"custom": custom} if custom else {})


def items(body: Object) -> list[Object]:
    """The input as items. Raises RequestError (bad_field)."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return [item.values for item in Fields(body).items("input")]


# -- input → messages ---------------------------------------------------------------------------------------------


def _input(asked: Fields) -> Iterator[Message]:
    if isinstance(asked.get("input"), str):
        yield Message("user", (Text(asked.text("input")),))
        return
    given = asked.items("input")
    if not given:
        raise asked.wrong("input", "has to be a text, or a list that is not empty")
    # One model turn comes as several items (reasoning, text, calls): join them. Join a turn's results, too.
    role: Role | None = None
    gathered: list[Part] = []
    for next_, parts in (found for item in given for found in _item(item)):
        if gathered and role and (next_ != role or role not in ("assistant", "tool")):
            yield Message(role, tuple(gathered))
            gathered = []
        role = next_
        gathered += parts
    if gathered and role:
        yield Message(role, tuple(gathered))


def _item(item: Fields) -> Iterator[tuple[Role, list[Part]]]:
    kind = item.text("type", "message")
    if kind == "message":
        role = item.role("user", "assistant", "system", "developer")
        yield role, _content(item)
    elif kind == "function_call":
        yield "assistant", [ToolCall(item.text("call_id"), item.text("name"), item.text("arguments"))]
    elif kind == "custom_tool_call":
        yield "assistant", [ToolCall(item.text("call_id"), item.text("name"), item.text("input"), custom=True)]
    elif kind in ("function_call_output", "custom_tool_call_output"):
        output = item.get("output")
        parts = [Text(output)] if isinstance(output, str) else [*_shown(item.items("output"))]
        yield "tool", [Result(item.text("call_id"), tuple(parts))]
    elif kind == "reasoning":
        thought = _thought(item)
        if thought.text or thought.signature:
            yield "assistant", [thought]
    elif kind != "item_reference":  # one that is not here any more: only a thought is left out so
        item.leave("type")


def _thought(item: Fields) -> Thought:
    text = "\n\n".join(part.text("text") for part in item.items("summary"))
    signature, origin = untagged(item.text("encrypted_content", ""), NAME)
    return Thought(text, signature, origin.removesuffix(REDACTED), redacted=origin.endswith(REDACTED))


def _content(item: Fields) -> list[Part]:
    if isinstance(item.get("content"), str):
        return [Text(item.text("content"))]
    if item.get("content") is None:
        raise item.wrong("content", "is missing")
    return [*_shown(item.items("content"))]


def _shown(parts: list[Fields]) -> Iterator[Text | Image | File]:
    for part in parts:
        kind = part.text("type")
        if kind in ("input_text", "output_text", "text"):
            yield Text(part.text("text"))
        elif kind == "refusal":
            yield Text(part.text("refusal"))
        elif part.get("file_id"):
            part.leave("file_id")
        elif kind == "input_image":
            yield Image(part.url("image_url"), part.text("detail", "") or None)
        elif kind == "input_file":
            url = part.url("file_url" if part.get("file_url") else "file_data")
            yield File(url, part.text("filename", ""))
        else:
            part.leave("type")


# -- tools --------------------------------------------------------------------------------------------------------


def _tool(tool: Fields) -> Tool:
    name, description = tool.text("name"), tool.text("description", "")
    if tool.text("type") == "custom":
        return Tool(name, description, custom=True, grammar=tool.plain("format"))
    return Tool(name, description, tool.plain("parameters") or {"type": "object"}, tool.flag("strict"))


def _choice(asked: Fields, tools: tuple[Tool, ...]) -> tuple[ToolChoice, tuple[Tool, ...]]:
    """Tools that OpenAI runs itself were left out: only there can they be demanded."""
    wanted = asked.get("tool_choice")
    if wanted is None or wanted in ("auto", "none"):
        return ToolChoice(wanted or "auto"), tools
    if isinstance(wanted, str) and wanted != "required":
        raise asked.wrong("tool_choice", "has to be auto, none, required, or an object that names a tool")
    choice = None if isinstance(wanted, str) else asked.object("tool_choice")
    if choice and choice.text("type") == "allowed_tools":
        allowed = [tool.text("name", "") for tool in choice.items("tools")]
        tools = tuple(tool for tool in tools if tool.name in allowed)
        wanted = choice.text("mode", "auto")
        choice = None
    if choice is None:
        if wanted == "required" and not tools:
            asked.leave("tool_choice")
        return ToolChoice("required" if wanted == "required" else "auto"), tools
    name = choice.text("name", "")
    if choice.text("type") not in ("function", "custom") or name not in [tool.name for tool in tools]:
        choice.leave("name" if name else "type")
    return ToolChoice("tool", name), tools


def _shape(format: Fields | None) -> Shape | None:
    kind = format.text("type") if format else "text"
    if format is None or kind == "text":
        return None
    if kind == "json_object":
        return Shape("json_object")
    if kind != "json_schema":
        raise format.wrong("type", "has to be text, json_object or json_schema")
    return Shape("json_schema", format.inner("schema").values, format.text("name"), format.flag("strict"))
