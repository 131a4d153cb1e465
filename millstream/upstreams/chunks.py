"""One chunk of OpenAI's chat completions, or of the legacy completions, read.

https://platform.openai.com/docs/api-reference/chat-streaming, …/completions
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

# iFlytek sends 0 with every chunk, some gateways 200.
_SUCCESS: tuple[object, ...] = (None, 0, "0", "", 200, "200")


class Delta(Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class Choice(Struct, gc=False):
    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None  # of a server that doesn't stream
    finish_reason: str | None = None
    text: str | None = None  # of the legacy API


class Tokens(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chunk(Struct, gc=False):
    """What we want of a chunk. `exact` is False where a text may hold half of a surrogate pair."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    model: str | None = None
    error: Any = None
    code: Any = None
    exact: bool = True

    @property
    def failed(self) -> bool:
        return bool(self.error) or self.code not in _SUCCESS


_decode = msgspec.json.Decoder(Chunk).decode


def read(payload: bytes) -> Chunk:
    """Raises ValueError where the payload is no JSON object."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _tolerate(payload)


def _tolerate(payload: bytes) -> Chunk:
    """For what the strict decoder refuses: half surrogates, invalid UTF-8, fields of another type."""
    try:
        document = json.loads(payload.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(document, dict):
        raise ValueError("no object")
    choices, usage = document.get("choices"), document.get("usage")
    return Chunk(
        [_choice(item) for item in choices if isinstance(item, dict)] if isinstance(choices, list) else None,
        Tokens(_int(usage, "prompt_tokens"), _int(usage, "completion_tokens")) if isinstance(usage, dict) else None,
        _str(document.get("model")),
        document.get("error"),
        document.get("code"),
        exact=False,
    )


def _choice(item: dict[str, Any]) -> Choice:
    return Choice(
        _int(item, "index"),
        _delta(item.get("delta")),
        _delta(item.get("message")),
        _str(item.get("finish_reason")),
        _str(item.get("text")),
    )


def _delta(item: Any) -> Delta | None:
    if not isinstance(item, dict):
        return None
    return Delta(*(_str(item.get(name)) for name in Delta.__struct_fields__))


def _str(value: Any) -> str | None:
    if isinstance(value, list):  # Mistral's content in parts
        return "".join(_str(part.get("text")) or "" for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else None


def _int(item: dict[str, Any], name: str) -> int | None:
    value = item.get(name)
    return int(value) if isinstance(value, int | float) and abs(value) < 2**53 else None
