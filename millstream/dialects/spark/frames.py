"""One frame of Spark's, read: https://www.xfyun.cn/doc/spark/Web.html"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

LAST = 2  # of `status`


class Header(Struct):
    code: int = 0
    message: str = ""
    sid: str = ""
    status: int | None = None


class Called(Struct):
    name: str = ""
    arguments: str = ""


class Text(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    index: int | None = 0
    function_call: Called | None = None


class Choices(Struct):
    text: list[Text] | None = None
    status: int | None = None


class Tokens(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Counted(Struct):
    text: Tokens | None = None


class Payload(Struct):
    """`plugins` may stand here with no choices beside it."""

    choices: Choices | None = None
    usage: Counted | None = None


class Frame(Struct):
    header: Header
    payload: Payload | None = None
    exact: bool = True  # False where a text may hold half of a surrogate pair


_decode = msgspec.json.Decoder(Frame).decode


def read(message: str | bytes) -> Frame:
    """Raises ValueError where the message is no frame of Spark's."""
    try:
        return _decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _tolerate(message)


def _tolerate(message: str | bytes) -> Frame:
    """For what the strict decoder refuses: half surrogates, invalid UTF-8, fields of another type."""
    try:
        document = json.loads(message if isinstance(message, str) else message.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    header = _dict(document, "header")
    if not header:
        raise ValueError("no header")
    payload = _dict(document, "payload")
    choices, tokens = _dict(payload, "choices"), _dict(_dict(payload, "usage"), "text")
    texts = choices.get("text")
    return Frame(
        Header(
            _int(header, "code") or 0,
            _str(header, "message") or "",
            _str(header, "sid") or "",
            _int(header, "status"),
        ),
        Payload(
            Choices(
                [_text(text) for text in (texts if isinstance(texts, list) else []) if isinstance(text, dict)],
                _int(choices, "status"),
            ),
            Counted(Tokens(_int(tokens, "prompt_tokens"), _int(tokens, "completion_tokens"))),
        ),
        exact=False,
    )


def _text(item: dict[str, Any]) -> Text:
    called = _dict(item, "function_call")
    return Text(
        _str(item, "content"),
        _str(item, "reasoning_content"),
        _int(item, "index"),
        Called(_str(called, "name") or "", _str(called, "arguments") or "") if called else None,
    )


def _dict(item: Any, name: str) -> dict[str, Any]:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, dict) else {}


def _str(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _int(item: dict[str, Any], name: str) -> int | None:
    value = item.get(name)
    try:
        return int(value) if isinstance(value, int | float | str) and abs(int(value)) < 2**53 else None
    except (ValueError, OverflowError):
        return None
