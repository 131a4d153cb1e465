"""The JSON objects that several formats write, and an encoder that never fails."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from millstream.errors import body
from millstream.events import TERMINAL, End, Event, Failure, Meta
from millstream.formats import Options, facts

_ENCODER = msgspec.json.Encoder()
CHOICE = "choice"
_BLANKS = bytes.maketrans(b"\r\n", b"  ")
_CR, _LF = b"\r\n"  # `in` finds a number eight times as fast as bytes
_UNKNOWN = Failure("The answer failed, and why is not known. Ask again.", "server_error", "internal")


def start(meta: Meta, options: Options) -> dict[str, Any]:
    """Return the object of the `start` event."""
    return {"id": meta.id, "url": options.url, "model": meta.model}


def failure_of(event: Event) -> Failure:
    """Return the failure of a `failed` event."""
    return (event.end.failure if event.end else None) or _UNKNOWN


def ending(event: Event) -> dict[str, Any]:
    """Return the object of the terminal event: the facts of a `done`, or the error of a `failed`."""
    return facts(event.end or End(model="", upstream="")) if event.type == "done" else body(failure_of(event))


def numbered(event: Event) -> dict[str, Any]:
    """Return the object of any event, with its number and type."""
    if event.type in TERMINAL:
        return {"n": event.n, "type": event.type, **ending(event)}
    return {"n": event.n, "type": kind(event), **said(event)}


def kind(event: Event) -> str:
    """Return the event's name in our formats. Events of further answers are never a `message`."""
    return CHOICE if event.choice else event.type


def said(event: Event) -> dict[str, Any]:
    """Return the object of an event that is not terminal."""
    says: dict[str, Any] = {"text": event.text}
    if event.call is not None:
        call = event.call
        says = {"index": call.index, "id": call.id, "name": call.name, "arguments": event.text}
    return {"choice": event.choice, "of": event.type, **says} if event.choice else says


def to_json(value: Any) -> bytes:
    """Encode as UTF-8 JSON on one line. Halves of surrogate pairs become U+FFFD."""
    return one_line(encoded(value))


def encoded(value: Any) -> bytes:
    """Encode like `to_json`, but leave U+2028, U+2029 and U+0085 in texts: see `escaped`."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return valid(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def lines(texts: list[str]) -> list[str]:
    """Encode many texts at once, each as `encoded` does."""
    try:
        return _ENCODER.encode_lines(texts).decode().split("\n")[:-1]
    except UnicodeEncodeError:
        return [encoded(text).decode() for text in texts]


def one_line(document: bytes) -> bytes:
    """Remove line ends from a JSON document: between its values and in its texts."""
    document = escaped(document)
    if _LF in document or _CR in document:
        document = document.translate(_BLANKS)
    return document


def escaped(texts: bytes) -> bytes:
    """Escape U+2028, U+2029 and U+0085, because httpx, requests and str.splitlines split lines there. Many documents
    take no longer than one."""
    if texts.isascii():
        return texts
    if b"\xe2\x80" in texts:
        texts = texts.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return texts.replace(b"\xc2\x85", rb"\u0085")


def valid(text: str) -> str:
    """Return the text as valid Unicode: a surrogate pair becomes its character, half a pair becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
