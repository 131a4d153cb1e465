"""The body of POST /v1/messages → a question: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from millstream.dialects.fields import Fields
from millstream.dialects.foreign import Object
from millstream.dialects.signatures import untagged
from millstream.formats.objects import to_json
from millstream.question import (
    File,
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

NAME = "messages"
# Claude Code's first `system` block names its version. Upstreams other than Anthropic would miss their prompt cache.
BILLING = "x-anthropic-billing-header:"
CHOICES = {"auto": "auto", "any": "required", "none": "none", "tool": "tool"}


def read(body: Object) -> Question:
    """Read a question. Fields that don't change the answer (metadata, cache_control, service_tier …) are ignored."""
    asked = Fields(body)
    most = asked.whole("max_tokens", 1)
    if most is None:
        raise asked.wrong("max_tokens", "is missing")
    return _question(asked, most)


def read_count(body: Object) -> Question:
    """The same for POST /v1/messages/count_tokens, which has no max_tokens."""
    return _question(Fields(body), None)


def _question(asked: Fields, most: int | None) -> Question:
    asked.leave("mcp_servers", "container")
    tools = tuple(_tool(tool) for tool in asked.items("tools") if tool.get("type") in (None, "custom"))
    choice, parallel = _choice(asked.object("tool_choice"), tools)
    thinking, output = asked.object("thinking"), asked.object("output_config")
    turns = asked.items("messages")
    if not turns:
        raise asked.wrong("messages", "has to be a list that is not empty")
    messages = (*_system(asked), *(message for turn in turns for message in _turn(turn)))
    return Question(
        model=asked.model(),
        messages=messages,
        options=Options(
            temperature=asked.number("temperature", 0),
            top_p=asked.number("top_p", 0, 1),
            top_k=asked.whole("top_k"),
            max_tokens=most,
            stop=asked.texts("stop_sequences"),
            shape=_shape(output or asked),
            effort=(output.text("effort", "") if output else "") or None,
            thinking=thinking.whole("budget_tokens") if thinking else None,
            parallel=parallel,
        ),
        tools=tools,
        choice=choice,
        stream=bool(asked.flag("stream")),
        dialect=NAME,
        body=asked.values,
        beyond=tuple(asked.left),
    )


def _system(asked: Fields) -> list[Message]:
    if isinstance(asked.get("system"), str):
        texts = [asked.text("system")]
    else:
        texts = [block.text("text") for block in asked.items("system")]
    said = "\n\n".join(text for text in texts if text and not text.startswith(BILLING))
    return [Message("system", (Text(said),))] if said else []


def _turn(turn: Fields) -> Iterator[Message]:
    """Results stand in messages of their own, in the order in which they came."""
    role = turn.role("user", "assistant", "system")
    if isinstance(turn.get("content"), str):
        yield Message(role, (Text(turn.text("content")),))
        return
    if turn.get("content") is None:
        raise turn.wrong("content", "is missing")
    parts = [part for block in turn.items("content") for part in _parts(block, role)]
    for results, group in groupby(parts, lambda part: isinstance(part, Result)):
        yield Message("tool" if results else role, tuple(group))


def _parts(block: Fields, role: str) -> Iterator[Part]:
    kind = block.text("type")
    if kind == "text":
        yield Text(block.text("text"))
    elif kind in ("image", "document") and role == "user":
        yield _medium(block, kind)
    elif kind == "tool_result" and role == "user":
        yield _result(block)
    elif kind == "tool_use" and role == "assistant":
        arguments = to_json(block.plain("input") or {}).decode()
        yield ToolCall(block.text("id"), block.text("name"), arguments)
    elif kind == "thinking" and role == "assistant":
        yield Thought(block.text("thinking", ""), *untagged(block.text("signature", ""), NAME))
    elif kind == "redacted_thinking" and role == "assistant":
        yield Thought("", *untagged(block.text("data"), NAME), redacted=True)
    else:
        block.leave("type")


def _medium(block: Fields, kind: str) -> Text | Image | File:
    source = block.inner("source")
    how = source.text("type")
    if how == "text" and kind == "document":
        return Text(source.text("data"))
    if how == "base64":
        url = f"data:{source.text('media_type')};base64,{source.base64('data')}"
    elif how == "url":
        url = source.url("url")
    else:
        raise source.wrong("type", "has to be base64 or url")
    return Image(url) if kind == "image" else File(url, block.text("title", ""))


def _result(block: Fields) -> Result:
    parts: list[Text | Image | File] = []
    if isinstance(block.get("content"), str):
        parts.append(Text(block.text("content")))
    else:
        for inner in block.items("content"):
            kind = inner.text("type")
            if kind not in ("text", "image", "document"):
                raise inner.wrong("type", "has to be text, image or document")
            parts.append(Text(inner.text("text")) if kind == "text" else _medium(inner, kind))
    return Result(block.text("tool_use_id"), tuple(parts), bool(block.flag("is_error")))


def _tool(tool: Fields) -> Tool:
    return Tool(tool.text("name"), tool.text("description", ""), tool.plain("input_schema") or {"type": "object"})


def _choice(choice: Fields | None, tools: tuple[Tool, ...]) -> tuple[ToolChoice, bool | None]:
    """Tools that Anthropic runs itself were left out: only there can they be demanded."""
    if choice is None:
        return ToolChoice(), None
    kind = choice.text("type")
    if kind not in CHOICES:
        raise choice.wrong("type", f"has to be one of {', '.join(CHOICES)}")
    name = choice.text("name") if kind == "tool" else ""
    if (kind == "any" and not tools) or (name and name not in [tool.name for tool in tools]):
        choice.leave("name" if name else "type")
    parallel = False if choice.flag("disable_parallel_tool_use") else None
    return ToolChoice(CHOICES[kind], name), parallel  # type: ignore[arg-type]


def _shape(output: Fields) -> Shape | None:
    """`output_config.format`, or before 2026 `output_format`."""
    format = output.object("format") or output.object("output_format")
    if format is None:
        return None
    if format.text("type") != "json_schema":
        raise format.wrong("type", "has to be json_schema")
    return Shape("json_schema", format.inner("schema").values)
