"""application/x-ndjson: one JSON object a line, https://github.com/ndjson/ndjson-spec"""

from __future__ import annotations

from typing import ClassVar

from millstream.events import TERMINAL, Event, Meta
from millstream.formats import Abort, Options
from millstream.formats.objects import numbered, start, to_json


class Ndjson:
    """One JSON object a line. Clients resume by the number of the last event and ignore blank lines."""

    NAME: ClassVar[str] = "ndjson"
    MEDIA_TYPE: ClassVar[str] = "application/x-ndjson"
    CONTENT_TYPE: ClassVar[str] = "application/x-ndjson"
    HEARTBEAT: ClassVar[bytes] = b"\n"

    def __init__(self, meta: Meta, options: Options) -> None:
        self._start = {"type": "start", **start(meta, options)}

    def opening(self) -> bytes:
        return b"\n" + to_json(self._start) + b"\n"

    def encode(self, batch: list[Event]) -> bytes:
        return b"".join([_line(event) for event in batch if event.type not in TERMINAL])

    def closing(self, event: Event) -> bytes | Abort:
        return _line(event)


def _line(event: Event) -> bytes:
    return to_json(numbered(event)) + b"\n"
