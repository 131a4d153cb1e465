"""The head of an HTTP/1.x response, read by llhttp: https://www.rfc-editor.org/rfc/rfc9112#section-4"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httptools
from msgspec import Struct

LONGEST = 65536  # bytes of all heads of a response together
_END = re.compile(rb"\r?\n\r?\n")


class Headers(Mapping[str, str]):
    """Names in any case; the values of a name that came more than once are joined."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            name = name.lower()
            self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Head(Struct, frozen=True):
    """`persists`: the connection stays open behind the body. `rest` is what came of the body already."""

    status: int
    headers: Headers
    persists: bool
    rest: bytes


class Reader:
    """Bytes → the head of the final response. Those before it, 100 Continue and 103 Early Hints among them, are
    skipped (RFC 9110, 15.2)."""

    def __init__(self) -> None:
        self._data = b""
        self._skipped = 0

    @property
    def begun(self) -> bool:
        return bool(self._data or self._skipped)

    def feed(self, data: bytes) -> Head | None:
        """Take the next bytes. Return the head when it is complete, otherwise None. Raises ValueError."""
        data = self._data + data
        while end := _END.search(data):
            self._check(end.end())
            head = _read(data[: end.end()], data[end.end() :])
            if head.status >= 200:
                return head
            self._skipped += end.end()
            data = head.rest
        self._data = data
        if data and not b"HTTP/".startswith(data[:5]):
            raise ValueError(f"{data[:20]!r} is no HTTP")
        self._check(len(data))
        return None

    def _check(self, size: int) -> None:
        if self._skipped + size > LONGEST:
            raise ValueError(f"its head is longer than {LONGEST} bytes")


class _Pairs:
    """The parser's callbacks."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.whole = True


def _read(head: bytes, rest: bytes) -> Head:
    heard = _Pairs()
    parser: Any = httptools.HttpResponseParser(heard)
    # As browsers do: LF alone ends a line; beside chunks a length says nothing (RFC 9112, 6.3).
    parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_chunked_length=True)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise ValueError(f"{error}: {head[:40]!r}") from error
    if not heard.whole:
        raise ValueError(f"{head[:40]!r} is no head of a response")
    headers = Headers(heard.pairs)
    said = headers.get("connection", "").lower()
    persists = "close" not in said and (parser.get_http_version() == "1.1" or "keep-alive" in said)
    # Both together are a sign of request smuggling: RFC 9112, 6.1.
    persists = persists and not {"content-length", "transfer-encoding"} <= headers.keys()
    return Head(parser.get_status_code(), headers, persists, rest)
