"""application/json: the whole answer at its end, or the events so far for who asks again and again."""

from __future__ import annotations

from typing import Any, ClassVar

from millstream.events import Event, Meta
from millstream.formats import Abort, Options
from millstream.formats.objects import ending, numbered, to_json, valid


class Json:
    """Collects, and writes one object when the stream has ended; of a failed one the error alone."""

    NAME: ClassVar[str] = "json"
    MEDIA_TYPE: ClassVar[str] = "application/json"
    CONTENT_TYPE: ClassVar[str] = "application/json"
    HEARTBEAT: ClassVar[bytes] = b""

    def __init__(self, meta: Meta, options: Options) -> None:
        self._id = meta.id
        self._texts: dict[str, list[str]] = {"message": [], "reasoning": []}

    def opening(self) -> bytes:
        return b""

    def encode(self, batch: list[Event]) -> bytes:
        for event in batch:
            if event.type in self._texts:
                self._texts[event.type].append(valid(event.text))
        return b""

    def closing(self, event: Event) -> bytes | Abort:
        if event.type == "failed":
            return to_json(ending(event)) + b"\n"
        text, reasoning = map("".join, self._texts.values())
        return to_json({"id": self._id, "text": text, "reasoning": reasoning, **ending(event)}) + b"\n"


def events(batch: list[Event]) -> list[dict[str, Any]]:
    """The events as NDJSON shows them, terminal ones too: what a poll is answered with."""
    return [shown for event in batch if (shown := numbered(event)) is not None]
