"""Bytes → lines, ended by LF, CRLF or CR and by nothing else: https://html.spec.whatwg.org/#event-stream-interpretation"""

from __future__ import annotations

LONGEST = 8 << 20  # bytes; a whole answer in one line stays far below


class Lines:
    """Splits bytes into lines, without their ends. A line over `limit` bytes raises ValueError."""

    __slots__ = ("_after_cr", "_begun", "_limit", "_size")

    def __init__(self, limit: int = LONGEST) -> None:
        self._limit = limit
        self._begun: list[bytes] = []  # the pieces of a line that has not ended yet
        self._size = 0  # of them all
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        # A "\r" at the very end of a read ends its line at once: with "\r" alone as line end, waiting for the
        # next byte would hold every event back by one. So a "\n" that comes next is the other half of it.
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        lines = data.splitlines()  # of bytes: at "\n", "\r" and "\r\n" only, unlike that of str
        if self._size + len(data) > self._limit:
            self._check(lines)
        ended = data.endswith((b"\n", b"\r"))
        if self._begun and (ended or len(lines) > 1):
            lines[0] = b"".join((*self._begun, lines[0]))
            self._begun, self._size = [], 0
        if ended:
            self._after_cr = data.endswith(b"\r")
        else:
            self._size += len(lines[-1])
            self._begun.append(lines.pop())
        return lines

    def close(self) -> list[bytes]:
        """The last line, if it has no end."""
        lines = [b"".join(self._begun)] if self._begun else []
        self._begun, self._size = [], 0
        return lines

    def _check(self, lines: list[bytes]) -> None:
        if max(self._size + len(lines[0]), *map(len, lines)) > self._limit:
            raise ValueError(f"a line is longer than {self._limit} bytes")
