"""One chunk of OpenAI's chat completions, or of the legacy completions, read.

https://platform.openai.com/docs/api-reference/chat-streaming, …/completions
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, defstruct

from millstream.dialects.foreign import Object, loads, string, table, tables, whole
from millstream.dialects.reading import count
from millstream.events import Usage

# What a chunk may say beside its text. Where it is absent or null, the chunk is a bare one.
BESIDE = {
    "Delta": ("reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"),
    "Choice": ("message", "finish_reason", "text", "usage"),
    "Chunk": ("usage", "x_groq", "error", "code"),
}


def _bare(kind: str, *fields: Any) -> Any:
    return defstruct(f"Bare{kind}", [*fields, *((name, None, None) for name in BESIDE[kind])], gc=False)


_BareDelta = _bare("Delta", ("content", Annotated[str, Meta(min_length=1)]))
_BareChoice = _bare("Choice", ("delta", _BareDelta), ("index", Literal[0] | None, 0))
_BareChunk = _bare("Chunk", ("choices", tuple[_BareChoice]), ("model", str | None, None))  # type: ignore[valid-type]
_bare_chunk = msgspec.json.Decoder(_BareChunk)
_decode_bare, _decode_bares = _bare_chunk.decode, _bare_chunk.decode_lines


def read_text(payload: bytes) -> tuple[str, str | None] | None:
    """Text and model of a chunk that is a piece of the first choice's text and nothing else, in a third of the time
    of `read`; None where it may be another."""
    try:
        chunk: Any = _decode_bare(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return chunk.choices[0].delta.content, chunk.model


def read_texts(lines: bytes, count: int) -> tuple[list[str], str | None] | None:
    """The same of many chunks at once, one a line; None where one of them may be another."""
    try:
        found: list[Any] = _decode_bares(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(found) != count:
        return None
    return [chunk.choices[0].delta.content for chunk in found], found[-1].model


def read(payload: bytes) -> tuple[Object, bytes, bool]:
    """The chunk; the payload as it may be passed on, with null for NaN and infinities, which no JSON has; and whether
    its texts are exact: else one may hold half of a surrogate pair. Raises ValueError where it is no JSON object."""
    exact = True
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        unlike: list[str] = []
        document, exact = loads(payload, unlike.append), False
        if unlike:
            payload = json.dumps(document, separators=(",", ":")).encode()
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document, payload, exact


def text_in(content: object) -> str:
    """The answer in a `content`, which Mistral gives as a list of parts while the model thinks."""
    return string(content) or "".join(text_in(part.get("text")) for part in tables(content))


def thought_in(delta: Object) -> str:
    """The thoughts, which Mistral gives in such a list: `{"type": "thinking", "thinking": [{"type": "text", …}]}`.
    Some servers send the same text in two fields."""
    parts = tables(delta.get("content"))
    said = "".join(text_in(part.get("thinking")) for part in parts)
    return string(delta.get("reasoning_content")) or said or string(delta.get("reasoning"))


def counted(chunk: Object) -> Usage | None:
    """The usage, wherever it stands (Groq's and Moonshot's places, too) and if it says anything."""
    choices = tables(chunk.get("choices"))
    places = (chunk.get("usage"), table(chunk.get("x_groq")).get("usage"), *[one.get("usage") for one in choices])
    return next((usage for place in tables(list(places)) if (usage := _usage(place))), None)


def _usage(tokens: Object) -> Usage | None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    asked, came, total = (count(whole(tokens.get(name))) for name in names)
    if not (asked or came):
        return None
    cached = count(whole(table(tokens.get("prompt_tokens_details")).get("cached_tokens")))
    thought = count(whole(table(tokens.get("completion_tokens_details")).get("reasoning_tokens")))
    # xAI counts reasoning tokens outside completion_tokens, but in the total.
    came = max(came, total - asked)
    return Usage(asked, came, cached=min(cached, asked), reasoning=min(thought, came))
