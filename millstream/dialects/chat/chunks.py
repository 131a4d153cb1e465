"""Read a chunk of OpenAI's chat completions, or of the legacy completions.

https://platform.openai.com/docs/api-reference/chat-streaming, …/completions
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, defstruct

from millstream.dialects.foreign import Object, string, table, tables
from millstream.dialects.reading import count
from millstream.events import EventType, Usage

# What a chunk may say beside a piece of text. Where all of it is absent or null, the chunk is a bare one.
BESIDE = {
    "Delta": ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"),
    "Choice": ("message", "finish_reason", "text", "usage"),
    "Chunk": ("usage", "x_groq", "error", "code"),
}


def _bare(kind: str, *fields: Any, **renamed: str) -> Any:
    absent = [(name, None, None) for name in BESIDE[kind] if name not in renamed.values()]
    return defstruct(f"Bare{kind}", [*fields, *absent], rename=renamed, gc=False)


def _bare_chunk(field: str) -> Any:
    """The decoder of chunks whose one choice has nothing but a piece of text in this field."""
    delta = _bare("Delta", ("said", Annotated[str, Meta(min_length=1)]), said=field)
    choice = _bare("Choice", ("delta", delta), ("index", Literal[0] | None, 0))
    chunk = _bare("Chunk", ("choices", tuple[choice]), ("model", str | None, None))  # type: ignore[valid-type]
    return msgspec.json.Decoder(chunk)


_TEXT = _bare_chunk("content")
_BARE = {"message": _TEXT.decode, "reasoning": _bare_chunk("reasoning_content").decode}


def read_text(payload: bytes, type: EventType = "message") -> tuple[str, str | None] | None:
    """Text and model of a chunk that is only a piece of the first choice's text, or of its thoughts; None where it
    may be another. Takes a tenth of the time of `read`."""
    try:
        chunk: Any = _BARE[type](payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return chunk.choices[0].delta.said, chunk.model


def read_texts(lines: bytes, count: int) -> tuple[list[str], str | None] | None:
    """The same of many chunks of text at once, one a line; None where one of them may be another."""
    try:
        found: list[Any] = _TEXT.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(found) != count:
        return None
    return [chunk.choices[0].delta.said for chunk in found], found[-1].model


def text_in(content: object) -> str:
    """The answer in a `content`, which Mistral gives as a list of parts while the model thinks."""
    return string(content) or "".join(text_in(part.get("text")) for part in tables(content))


def thought_in(delta: Object) -> str:
    """The thoughts, which Mistral gives in such a list: `{"type": "thinking", "thinking": [{"type": "text", …}]}`.
    Some servers send the same text in two fields."""
    if said := string(delta.get("reasoning_content")):
        return said
    parts = tables(delta.get("content"))
    return "".join(text_in(part.get("thinking")) for part in parts) or string(delta.get("reasoning"))


def counted(chunk: Object) -> Usage | None:
    """The usage, wherever it stands (Groq's and Moonshot's places, too) and if it says anything."""
    for place in (chunk, table(chunk.get("x_groq")), *tables(chunk.get("choices"))):
        if (said := place.get("usage")) and (usage := _usage(table(said))):
            return usage
    return None


def _usage(tokens: Object) -> Usage | None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    asked, came, total = (count(tokens.get(name)) for name in names)
    if not (asked or came):
        return None
    cached = count(table(tokens.get("prompt_tokens_details")).get("cached_tokens"))
    thought = count(table(tokens.get("completion_tokens_details")).get("reasoning_tokens"))
    # xAI counts reasoning tokens outside completion_tokens, but in the total.
    came = max(came, total - asked)
    return Usage(asked, came, cached=min(cached, asked), reasoning=min(thought, came))
