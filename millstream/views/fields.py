"""Read the fields of a request, not yet checked, from JSON, a form, plain text or the query string."""

from __future__ import annotations

import re
from collections.abc import Iterable
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from millstream.errors import RequestError
from millstream.wire import json

MOST = 50  # fields
FIELD_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{0,40}")
# Not every encoding of `decode` is safe: it caches unknown names for ever, takes hours for a megabyte of punycode,
# and makes halves of surrogate pairs from UTF-7.
CHARSETS = {**aliases, **{name: name for name in aliases.values()}, "utf_7": "", "utf_8": "utf_8_sig"}


def read_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a body. Raises RequestError (bad_json, bad_field, unsupported_media_type)."""
    kind, options = parse_options_header(content_type or "application/x-www-form-urlencoded")
    kind = kind.lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _json(body)
    if kind == "text/plain":
        return {"prompt": _text(body, options.get("charset", "utf-8"))} if body else {}
    if kind == "application/x-www-form-urlencoded":
        return _form(body)
    if kind == "multipart/form-data":
        return _named(_multipart(body, options.get("boundary", "")))
    raise RequestError(
        "unsupported_media_type",
        f"A body of type {kind[:60]!r} can't be read here; send JSON, a form, or text/plain (the prompt).",
        param="Content-Type",
    )


def query_fields(query: bytes) -> dict[str, Any]:
    """Return the fields of the query string. Raises RequestError."""
    return _named(_pairs(query))


def _json(body: bytes) -> dict[str, Any]:
    document = _decoded(body, "The body")
    if not isinstance(document, dict):
        raise RequestError("bad_json", 'The body has to be a JSON object, such as {"prompt": "Hello"}.')
    return document


def _decoded(data: bytes, what: str, param: str | None = None) -> Any:
    try:
        json.check(data)
        return msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("bad_json", f"{what} is not valid JSON: {error}.", param=param) from None


def _text(body: bytes, charset: str = "utf-8") -> str:
    try:
        return body.decode(CHARSETS.get(normalize_encoding(charset.lower()), ""))
    except (LookupError, ValueError):
        raise RequestError(
            "bad_field", f"The text is not valid {charset[:40]}; send UTF-8.", param="prompt"
        ) from None


def _form(body: bytes) -> dict[str, Any]:
    # curl labels any body as a form: `curl --data-binary @question.txt` sends the prompt itself. A form's body begins
    # with a field's name and "="; prose doesn't.
    name, equals, _ = body.partition(b"=")
    if body and not (equals and FIELD_NAME.fullmatch(name)):
        return {"prompt": _text(body)}
    return _named(_pairs(body))


def _pairs(data: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            data.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MOST
        )
    except ValueError:
        raise RequestError("bad_field", f"The fields are not valid UTF-8, or there are more than {MOST}.") from None


def _multipart(body: bytes, boundary: str) -> list[tuple[str, str]]:
    """Return the fields of a multipart form. A file counts as a field: `curl -F prompt=@question.txt`."""
    pairs: list[tuple[str, str]] = []
    name, data = "", b""
    try:
        decoder = MultipartDecoder(boundary.encode("latin-1"), max_parts=MOST)
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, Field | File):
                name, data = event.name or "", b""
            elif isinstance(event, Data):
                data += event.data
                if not event.more_data:
                    pairs.append((name, _text(data)))
    except (ValueError, RequestEntityTooLarge):
        raise RequestError("bad_field", f"The form is not valid multipart, or has more than {MOST} fields.") from None
    return pairs


def _named(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Normalise fields: LF line ends, `messages` decoded from JSON, empty fields left out. An empty `preset` means
    none."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise RequestError("bad_field", f"The field {name[:60]} occurs twice.", param=name[:60])
        text = value.replace("\r\n", "\n")
        if text or name == "preset":
            fields[name] = text
    if "messages" in fields:
        fields["messages"] = _decoded(fields["messages"].encode(), "messages", "messages")
    return fields
