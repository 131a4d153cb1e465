"""JSON lines → the bytes of each object: https://github.com/ndjson/ndjson-spec"""

from __future__ import annotations

from millstream.wire.lines import LONGEST, Lines


class Decoder:
    """Bytes → one piece of bytes for each line that is not blank. A line over `limit` bytes raises ValueError."""

    def __init__(self, limit: int = LONGEST) -> None:
        self._lines = Lines(limit)

    def feed(self, data: bytes) -> list[bytes]:
        return _not_blank(self._lines.feed(data))

    def close(self) -> list[bytes]:
        """The last line, if it has no end. Where the stream was cut, it may be cut too."""
        return _not_blank(self._lines.close())


def _not_blank(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line and not line.isspace()]
