"""application/json: the whole answer when it has ended, or the events so far for a client that polls."""

from __future__ import annotations

from typing import Any, ClassVar

from millstream.events import Event, Meta, Piece
from millstream.formats import Abort, Options
from millstream.formats.objects import ending, numbered, to_json, valid


class Json:
    """Collects the events and writes one object when the stream has ended; after a failure only the error."""

    NAME: ClassVar[str] = "json"
    MEDIA_TYPE: ClassVar[str] = "application/json"
    CONTENT_TYPE: ClassVar[str] = "application/json"
    HEARTBEAT: ClassVar[bytes] = b" "

    def __init__(self, meta: Meta, options: Options) -> None:
        self._id = meta.id
        self._texts: dict[str, list[str]] = {"message": [], "reasoning": []}
        self._calls: dict[int, dict[str, Any]] = {}  # `arguments` in pieces

    def opening(self) -> bytes:
        return b""

    def encode(self, batch: list[Event]) -> bytes:
        for event in batch:
            if event.choice:
                continue
            if event.type in self._texts:
                self._texts[event.type].append(valid(event.text))
            if event.call is not None:
                self._call(event.call, event.text)
        return b""

    def closing(self, event: Event) -> bytes | Abort:
        if event.type == "failed":
            return to_json(ending(event)) + b"\n"
        text, reasoning = map("".join, self._texts.values())
        made = [call | {"arguments": "".join(call["arguments"])} for _, call in sorted(self._calls.items())]
        calls = {"calls": made} if made else {}
        return to_json({"id": self._id, "text": text, "reasoning": reasoning, **calls, **ending(event)}) + b"\n"

    def _call(self, piece: Piece, arguments: str) -> None:
        call = self._calls.setdefault(piece.index, {"id": "", "name": "", "arguments": []})
        call["id"], call["name"] = call["id"] or piece.id, call["name"] or piece.name
        call["arguments"].append(valid(arguments))


def events(batch: list[Event]) -> list[dict[str, Any]]:
    """Return the events as objects, as in NDJSON, including the terminal one. A poll is answered with them."""
    return [numbered(event) for event in batch]
