"""The body of an HTTP/1.x response, out of what the socket gives: https://www.rfc-editor.org/rfc/rfc9112#section-6"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

LONGEST_HEAD = 8192  # bytes: a chunk's size line with its extensions; all trailers


class Body(Protocol):
    """Takes the framing off. `done` after the last byte; `rest` is what came behind it."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """The payload in what a read brought, joined. Raises ValueError where the framing is broken."""
        ...

    def close(self) -> None:
        """The peer has closed. Raises ValueError if the body was cut."""
        ...


_SIZE = rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?"
_TRAILERS = rb"(?:[^\r\n]+\r\n)*"

# Each place between two chunks: how it looks, and how the beginning of it looks. The line end behind a chunk
# is read with the next size: one match for each chunk, and the payload itself is never searched.
_FIRST = re.compile(_SIZE + rb"\r\n"), re.compile(rb"(?:" + _SIZE + rb"\r?)?")
_NEXT = re.compile(rb"\r\n" + _SIZE + rb"\r\n"), re.compile(rb"\r?|\r\n(?:" + _SIZE + rb"\r?)?")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_LAST = re.compile(_TRAILERS + rb"\r\n"), re.compile(_TRAILERS + rb"[^\r\n]*\r?")


class Chunked:
    """Transfer-Encoding: chunked. Extensions and trailers are skipped."""

    __slots__ = ("_held", "_left", "_place", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._place = _FIRST
        self._held = b""  # of a place that has not come whole
        self._left = 0  # bytes of the chunk still to come

    def feed(self, data: bytes) -> bytes:
        # Mostly a read brings one chunk, and only that.
        if self._held == b"\r\n" and (size := _SIZE_LINE.match(data)):
            start = size.end()
            if start + int(size[1], 16) + 2 == len(data) and len(data) > start + 2 and data.endswith(b"\r\n"):
                return data[start:-2]
        if self._held:
            data, self._held = self._held + data, b""
        parts = []
        at, end = 0, len(data)
        left, place = self._left, self._place
        while at < end and not self.done:
            if left:
                parts.append(data[at : at + left])
                at += left
                left = at - end if at > end else 0
            elif found := place[0].match(data, at):
                at = found.end()
                if place is _LAST:
                    self.done = True
                else:
                    left = int(found[1], 16)
                    place = _NEXT if left else _LAST
            else:
                self._hold(data, at, place[1])
                at = end
        self._left, self._place = left, place
        if self.done:
            self.rest += data[at:]
        return b"".join(parts)

    def close(self) -> None:
        if not self.done:
            missing = f"{self._left} bytes of a chunk" if self._left else "the last chunk"
            raise ValueError(f"cut: the peer closed, and {missing} had not come")

    def _hold(self, data: bytes, at: int, beginning: re.Pattern[bytes]) -> None:
        if len(data) - at > LONGEST_HEAD or not beginning.fullmatch(data, at):
            raise ValueError(f"bad chunk: {data[at : at + 40]!r} is no size line or trailer")
        self._held = data[at:]


class Length:
    """Content-Length; also the body that isn't there."""

    def __init__(self, length: int) -> None:
        self.done = length == 0
        self.rest = b""
        self._left = length

    def feed(self, data: bytes) -> bytes:
        part = data[: self._left]
        self._left -= len(part)
        self.done = self._left == 0
        self.rest += data[len(part) :]
        return part

    def close(self) -> None:
        if not self.done:
            raise ValueError(f"cut: the peer closed, and {self._left} bytes had not come")


class UntilClose:
    """Neither chunks nor a length: the end of the connection is the end of the body, and a cut can't be told."""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        self.done = True


def framing(status: int, method: str, headers: Iterable[tuple[str, str]]) -> Body:
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
