"""The body of a chat completions request → a question: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any

from millstream.dialects.chat.chunks import text_in
from millstream.dialects.fields import Beyond, Fields
from millstream.dialects.foreign import Object
from millstream.question import (
    Audio,
    File,
    Image,
    Message,
    Options,
    Part,
    Question,
    Result,
    Shape,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)

NAME = "chat"
# Fields about the request, not about the answer.
ASIDE = frozenset(
    (
        *("model", "messages", "prompt", "stream", "stream_options", "user", "metadata", "store", "service_tier"),
        *("safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    )
)
# Fields that a neutral Question can express.
NEUTRAL = frozenset(
    (
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed"),
        *("presence_penalty", "frequency_penalty", "response_format", "reasoning_effort", "parallel_tool_calls"),
        *("tools", "functions", "tool_choice", "function_call"),
    )
)
# Values that change nothing, because they ask for the default. null, [] and {} change nothing in any field.
PLAIN: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),  # the legacy API's 0 asks for some
    "top_logprobs": (0,),
    "echo": (False,),
    "suffix": ("",),
    "modalities": (["text"],),
    "verbosity": ("medium",),
}
SPEAKERS = ("system", "user", "assistant")
CHOICES = {"auto": "auto", "none": "none", "required": "required"}
FORMATS = ("json_object", "json_schema")


def read(body: Object) -> Question:
    """Every documented field has its type, whoever is to answer. Raises RequestError (bad_field)."""
    asked = Fields(body)
    turns = asked.items("messages")
    if not turns:
        raise asked.wrong("messages", "has to be a list that is not empty")
    said: list[Message] = []
    beyond: list[str] = []
    for turn in turns:
        try:
            said += _messages(turn)
        except Beyond as error:
            beyond.append(error.param or "messages")
            said.append(Message("user", (Text(text_in(turn.get("content"))),)))
    return question(asked, NAME, said, beyond)


def question(
    asked: Fields, dialect: str, said: Iterable[Message], beyond: list[str], readers: Readers | None = None
) -> Question:
    """Read all fields but the messages. `beyond` names fields without a neutral form."""
    found: Object = {}
    readers = readers or READERS
    for name, value in asked.values.items():
        try:
            if name in readers and value is not None:
                found[name] = readers[name](asked, name)
        except Beyond as error:
            beyond.append(error.param or name)
        else:
            if name not in ASIDE and name not in NEUTRAL and not _is_plain(name, value):
                beyond.append(name)
    use = found.get
    tools = use("tools", ()) + use("functions", ())
    whole = {name: value for name, value in found.items() if isinstance(asked.values[name], float)}
    most = use("max_completion_tokens")
    return Question(
        asked.model(),
        tuple(said),
        Options(
            temperature=use("temperature"),
            top_p=use("top_p"),
            top_k=use("top_k"),
            max_tokens=use("max_tokens") if most is None else most,
            stop=use("stop", ()),
            seed=use("seed"),
            presence_penalty=use("presence_penalty"),
            frequency_penalty=use("frequency_penalty"),
            shape=use("response_format"),
            effort=use("reasoning_effort") or None,
            parallel=use("parallel_tool_calls"),
        ),
        tools,
        (use("tool_choice") or use("function_call") or ToolChoice()) if tools else ToolChoice(),
        bool(use("stream")),
        dialect,
        {**asked.values, **whole},  # 5 for 5.0
        tuple(beyond),
    )


def offers_functions(question: Question) -> bool:
    """True if the answer's calls use the fields from before `tools`."""
    return bool(question.body.get("functions")) and not question.body.get("tools")


def wants_usage(question: Question) -> bool:
    """True if the stream has to end with a usage chunk."""
    return bool((question.body.get("stream_options") or {}).get("include_usage"))


def _is_plain(name: str, value: Any) -> bool:
    if value is None or value == [] or value == {}:
        return True
    # Compare types, too: in Python 0 == False and 1 == True.
    return any(value == plain and isinstance(value, bool) == isinstance(plain, bool) for plain in PLAIN.get(name, ()))


def _messages(turn: Fields) -> Iterator[Message]:
    role, content = turn.get("role"), turn.get("content")
    if isinstance(content, str) and role in SPEAKERS and len(turn.values) == 2:  # nearly all
        yield Message(role, (Text(content),))
        return
    if role in ("tool", "function"):
        name = turn.text("name", "")
        texts = [part for part in _content(turn) if isinstance(part, Text | Image | File)]
        yield Message("tool", (Result(turn.text("tool_call_id", name), tuple(texts), name=name),))
        return
    role = turn.role("system", "developer", "user", "assistant")
    parts = [*_content(turn), *(_call(call) for call in turn.items("tool_calls"))]
    if (called := turn.object("function_call")) is not None:
        parts.append(ToolCall(called.text("name"), called.text("name"), called.text("arguments", "")))
    yield Message(role, tuple(parts), turn.text("name", ""))


def _content(turn: Fields) -> Iterator[Part]:
    content = turn.get("content")
    if content is None or isinstance(content, str):
        if content or not turn.get("tool_calls"):
            yield Text(content or "")
        return
    for part in turn.items("content"):
        yield _part(part)


def _part(part: Fields) -> Part:
    kind = part.text("type")
    if kind in ("text", "refusal"):
        return Text(part.text(kind))
    if kind == "image_url":
        if isinstance(part.get(kind), str):
            return Image(part.url(kind))
        image = part.inner(kind)
        return Image(image.url("url"), image.text("detail", "") or None)
    if kind == "file" and (file := part.inner(kind)).get("file_data"):
        return File(file.url("file_data"), file.text("filename", ""))
    if kind == "input_audio":
        audio = part.inner(kind)
        return Audio(audio.base64("data"), audio.text("format", "wav"))
    raise part.beyond("type", f"is {kind[:40]!r}, which is not supported here")


def _call(call: Fields) -> ToolCall:
    if call.text("type", "function") == "custom":
        custom = call.inner("custom")
        return ToolCall(call.text("id", ""), custom.text("name"), custom.text("input", ""), custom=True)
    function = call.inner("function")
    return ToolCall(call.text("id", ""), function.text("name"), function.text("arguments", ""))


def _tools(asked: Fields, name: str) -> tuple[Tool, ...]:
    return tuple(_tool(tool) for tool in asked.items(name))


def _functions(asked: Fields, name: str) -> tuple[Tool, ...]:
    """The word before `tools`."""
    return tuple(_function(function) for function in asked.items(name))


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type", "function")
    if kind == "custom":
        custom = tool.inner(kind)
        grammar = custom.plain("format")
        return Tool(custom.text("name"), custom.text("description", ""), custom=True, grammar=grammar)
    if kind != "function":
        raise tool.beyond("type", f"is {kind[:40]!r}; it has to be function")
    return _function(tool.inner(kind))


def _function(function: Fields) -> Tool:
    parameters, strict = function.plain("parameters"), function.flag("strict")
    return Tool(function.text("name"), function.text("description", ""), parameters, strict)


def _choice(asked: Fields, field: str) -> ToolChoice:
    said = asked.get(field)
    if isinstance(said, str):
        if said not in CHOICES:
            raise asked.beyond(field, f"has to be one of {', '.join(CHOICES)}, or name a function")
        return ToolChoice(CHOICES[said])  # type: ignore[arg-type]
    chosen = Fields(said, field)
    function = chosen.object("function") or chosen.object("custom") or chosen
    if not isinstance(function.get("name"), str):
        raise asked.beyond(field, "names no function")
    return ToolChoice("tool", function.text("name"))


def _shape(asked: Fields, name: str) -> Shape | None:
    wanted = asked.inner(name)
    kind = wanted.text("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Shape("json_object")
    if kind != "json_schema":
        raise wanted.beyond("type", f"has to be one of text, {', '.join(FORMATS)}")
    schema = wanted.inner(kind)
    return Shape("json_schema", schema.plain("schema"), schema.text("name", ""), schema.flag("strict"))


def _stream_options(asked: Fields, name: str) -> None:
    asked.inner(name).flag("include_usage")


def _bias(asked: Fields, name: str) -> None:
    bias = asked.inner(name)
    for token in bias.values:
        bias.number(token, -inf, inf)


def _list(asked: Fields, name: str) -> None:
    if not isinstance(asked.get(name), list):
        raise asked.wrong(name, "has to be a list")
    asked.texts(name)


Readers = Mapping[str, Callable[[Fields, str], Any]]

# The types of the fields that the API documents. null stands for a field left out.
READERS: Readers = {
    **dict.fromkeys(("stream", "logprobs", "parallel_tool_calls", "store"), Fields.flag),
    **dict.fromkeys(("n", "max_tokens", "max_completion_tokens", "top_k", "top_logprobs"), Fields.whole),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), Fields.number),
    **dict.fromkeys(("user", "safety_identifier", "prompt_cache_key"), Fields.text),
    **dict.fromkeys(("reasoning_effort", "verbosity", "service_tier"), Fields.text),
    **dict.fromkeys(("audio", "prediction", "web_search_options", "metadata"), Fields.object),
    **dict.fromkeys(("tool_choice", "function_call"), _choice),
    "temperature": lambda asked, name: asked.number(name, 0),
    "top_p": lambda asked, name: asked.number(name, 0, 1),
    "seed": lambda asked, name: asked.whole(name, -(2**63)),
    "stop": Fields.texts,
    "modalities": _list,
    "logit_bias": _bias,
    "stream_options": _stream_options,
    "response_format": _shape,
    "tools": _tools,
    "functions": _functions,
}
DOCUMENTED = frozenset((*READERS, "model", "messages"))
