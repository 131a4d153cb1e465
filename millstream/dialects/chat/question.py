"""The body of a chat completions request → a question: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from millstream.dialects.abilities import cannot
from millstream.dialects.fields import Fields, Object
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
# What says something about the request and not about the answer.
ASIDE = frozenset(
    (
        *("model", "messages", "prompt", "stream", "stream_options", "user", "metadata", "store", "service_tier"),
        *("safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    )
)
# What a neutral question has words for.
KNOWN = frozenset(
    (
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed"),
        *("presence_penalty", "frequency_penalty", "response_format", "reasoning_effort", "parallel_tool_calls"),
        *("tools", "functions", "tool_choice", "function_call"),
    )
)
# The values that ask for what an answer is anyway. null, [] and {} do so too, whatever the field.
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
CHOICES = {"auto": "auto", "none": "none", "required": "required"}
FORMATS = ("json_object", "json_schema")


def read(body: Object, dialect: str = NAME) -> Question:
    """Raises RequestError (bad_field) that names what a neutral question has no words for."""
    asked = Fields(body)
    question = Question(asked.model(), (), dialect=dialect, body=body)
    for name, value in body.items():
        if name not in ASIDE and name not in KNOWN and not _is_plain(name, value):
            raise cannot(question, name)
    offered = _tools(asked)
    return Question(
        question.model,
        tuple(message for turn in asked.items("messages") for message in _messages(turn)),
        options(asked),
        offered,
        _choice(asked) if offered else ToolChoice(),
        bool(asked.flag("stream")),
        dialect,
        body,
    )


def options(asked: Fields) -> Options:
    most = asked.whole("max_completion_tokens")
    return Options(
        temperature=asked.number("temperature", 0),
        top_p=asked.number("top_p", 0, 1),
        top_k=asked.whole("top_k"),
        max_tokens=asked.whole("max_tokens") if most is None else most,
        stop=asked.texts("stop"),
        seed=asked.whole("seed", -(2**63)),
        presence_penalty=asked.number("presence_penalty"),
        frequency_penalty=asked.number("frequency_penalty"),
        shape=_shape(asked),
        effort=asked.text("reasoning_effort", "") or None,
        parallel=asked.flag("parallel_tool_calls"),
    )


def _is_plain(name: str, value: Any) -> bool:
    if value is None or value == [] or value == {}:
        return True
    # In Python 0 == False and 1 == True.
    return any(value == plain and isinstance(value, bool) == isinstance(plain, bool) for plain in PLAIN.get(name, ()))


def _messages(turn: Fields) -> Iterator[Message]:
    if turn.get("role") in ("tool", "function"):
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
        image = _inner(part, kind)
        return Image(image.url("url"), image.text("detail", "") or None)
    if kind == "file" and (file := _inner(part, kind)).get("file_data"):
        return File(file.url("file_data"), file.text("filename", ""))
    if kind == "input_audio":
        audio = _inner(part, kind)
        return Audio(audio.base64("data"), audio.text("format", "wav"))
    raise part.wrong("type", f"is {kind[:40]!r}, which can't be had here")


def _inner(part: Fields, name: str) -> Fields:
    inner = part.object(name)
    if inner is None:
        raise part.wrong(name, "is missing")
    return inner


def _call(call: Fields) -> ToolCall:
    if call.text("type", "function") == "custom":
        custom = _inner(call, "custom")
        return ToolCall(call.text("id", ""), custom.text("name"), custom.text("input", ""), custom=True)
    function = _inner(call, "function")
    return ToolCall(call.text("id", ""), function.text("name"), function.text("arguments", ""))


def _tools(asked: Fields) -> tuple[Tool, ...]:
    """Also `functions`, the word before `tools`."""
    return (
        *(_tool(tool) for tool in asked.items("tools")),
        *(_function(function) for function in asked.items("functions")),
    )


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type", "function")
    if kind == "custom":
        custom = _inner(tool, kind)
        grammar = custom.plain("format")
        return Tool(custom.text("name"), custom.text("description", ""), custom=True, grammar=grammar)
    if kind != "function":
        raise tool.wrong("type", f"is {kind[:40]!r}; it has to be function")
    return _function(_inner(tool, kind))


def _function(function: Fields) -> Tool:
    parameters, strict = function.plain("parameters"), function.flag("strict")
    return Tool(function.text("name"), function.text("description", ""), parameters, strict)


def _choice(asked: Fields) -> ToolChoice:
    field = "tool_choice" if asked.get("tool_choice") is not None else "function_call"
    said = asked.get(field)
    if said is None:
        return ToolChoice()
    if isinstance(said, str):
        if said not in CHOICES:
            raise asked.wrong(field, f"has to be one of {', '.join(CHOICES)}, or name a function")
        return ToolChoice(CHOICES[said])  # type: ignore[arg-type]
    chosen = asked.object(field)
    assert chosen is not None
    function = chosen.object("function") or chosen.object("custom") or chosen
    return ToolChoice("tool", function.text("name"))


def _shape(asked: Fields) -> Shape | None:
    wanted = asked.object("response_format")
    if wanted is None or (kind := wanted.text("type")) == "text":
        return None
    if kind == "json_object":
        return Shape("json_object")
    if kind != "json_schema":
        raise wanted.wrong("type", f"has to be one of text, {', '.join(FORMATS)}")
    schema = _inner(wanted, kind)
    return Shape("json_schema", schema.plain("schema"), schema.text("name", ""), schema.flag("strict"))


def offers_functions(body: Mapping[str, Any]) -> bool:
    """Whether the answer's calls are to be written in the words before `tools`."""
    return bool(body.get("functions")) and not body.get("tools")
