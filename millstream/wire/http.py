"""The body of an HTTP/1.x response, out of what the socket gives: https://www.rfc-editor.org/rfc/rfc9112#section-6"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import httptools

LONGEST_HEAD = 8192  # bytes: a chunk's size line with its extensions; all trailers


class Framing(Protocol):
    """Removes a body's framing. `done` is set after the last byte; `more` if data followed it."""

    done: bool
    more: bool

    def feed(self, data: bytes) -> bytes:
        """The payload in what a read brought, joined. Raises ValueError where the framing is broken."""
        ...

    def close(self) -> None:
        """The peer has closed. Raises ValueError if the body was cut."""
        ...


# The parser gets this head and then only the body. It reports bytes after the body as an error.
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Heard:
    """The parser's callbacks. It knows no parser: no cycle comes about."""

    __slots__ = ("done", "on_body", "parts")

    def __init__(self) -> None:
        self.done = False
        self.parts: list[bytes] = []
        self.on_body = self.parts.append

    def on_message_complete(self) -> None:
        self.done = True


class Chunked:
    """Transfer-Encoding: chunked, read by llhttp, ten times as fast as in Python. Extensions and trailers are
    skipped."""

    __slots__ = ("_heard", "_parser", "_silent", "done", "more")

    def __init__(self) -> None:
        self.done = self.more = False
        self._heard = _Heard()
        self._parser: Any = httptools.HttpResponseParser(self._heard)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # some servers fill it up
        self._parser.feed_data(_HEAD)
        self._silent = 0  # bytes without a payload

    def feed(self, data: bytes) -> bytes:
        heard = self._heard
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not heard.done:
                raise ValueError(f"bad chunk: {error}") from error
            self.more = True
        self.done = heard.done
        if heard.parts:
            payload = b"".join(heard.parts)
            heard.parts.clear()
            self._silent = 0
            return payload
        self._silent += len(data)
        if self._silent > LONGEST_HEAD:
            raise ValueError(f"bad chunk: a size line or the trailers have more than {LONGEST_HEAD} bytes")
        return b""

    def close(self) -> None:
        if not self.done:
            raise ValueError("cut: the peer closed, and the last chunk had not come")


class Length:
    """Content-Length; also the body that isn't there."""

    def __init__(self, length: int) -> None:
        self.done = length == 0
        self.more = False
        self._left = length

    def feed(self, data: bytes) -> bytes:
        part = data[: self._left]
        self._left -= len(part)
        self.done = self._left == 0
        self.more = self.more or len(part) < len(data)
        return part

    def close(self) -> None:
        if not self.done:
            raise ValueError(f"cut: the peer closed, and {self._left} bytes had not come")


class UntilClose:
    """A body without chunks or length. It ends when the connection ends, so a cut can't be detected."""

    def __init__(self) -> None:
        self.done = self.more = False

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        self.done = True


def framing(status: int, method: str, headers: Iterable[tuple[str, str]]) -> Framing:
    """The framing of a response's body, by RFC 9112 section 6.3.

    `headers` are pairs, with a repeated name as often as it came (`.items()` of http.client's and urllib3's).
    Raises ValueError for codings other than chunked and for a bad Content-Length.
    """
    if method == "HEAD" or status < 200 or status in (204, 304) or (method == "CONNECT" and status < 300):
        return Length(0)
    pairs = [(name.lower(), value) for name, value in headers]
    codings = [part.lower() for part in _members(pairs, "transfer-encoding") if part.lower() != "identity"]
    lengths = set(_members(pairs, "content-length"))
    if codings == ["chunked"]:  # it overrides a Content-Length
        return Chunked()
    if codings:
        raise ValueError(f"the response has the Transfer-Encoding {', '.join(codings)}; only chunked can be read")
    if not lengths:
        return UntilClose()
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise ValueError(f"the response has a bad Content-Length: {', '.join(sorted({length, *lengths}))}")
    return Length(int(length))


def _members(pairs: list[tuple[str, str]], name: str) -> list[str]:
    return [part.strip() for key, value in pairs if key == name for part in value.split(",") if part.strip()]
