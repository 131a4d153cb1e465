"""JSON of an upstream's, read: what is not of the type that is looked for counts as absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

Object = dict[str, Any]


def loads(payload: bytes | str, constant: Callable[[str], Any] | None = None) -> Any:
    """Decode JSON, also with half surrogates, invalid UTF-8, NaN (`constant` stands for it). Raises ValueError."""
    try:
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        return json.loads(text, parse_constant=constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read(payload: bytes | str) -> Object:
    """Decode a payload. Raises ValueError if it is not a JSON object."""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        document = loads(payload)
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def read_frame(payload: bytes) -> tuple[Object, bytes, bool]:
    """Return the object, the payload as it may be passed on, and whether its texts are exact: else one may hold half
    of a surrogate pair. NaN and infinities, which no JSON has, become null. Raises ValueError if it is no object."""
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


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def table(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """Read a whole number, also from text."""
    try:
        return int(value) if isinstance(value, int | float | str) and abs(int(value)) < 2**53 else None
    except (ValueError, OverflowError):
        return None
