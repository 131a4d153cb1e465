"""Events of an upstream that speaks the Responses API itself: they pass with our ids and numbers, and else as they
came. The first two are ours, sent before it has said anything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from millstream.dialects.foreign import Object, loads, string, table, tables
from millstream.dialects.reading import repair
from millstream.dialects.responses.ids import ours
from millstream.dialects.responses.question import OF_THE_QUESTION
from millstream.formats.objects import to_json

OPENING = ("response.created", "response.in_progress")
ENDS = ("response.completed", "response.incomplete", "response.failed")
READ = ("type", "output_index", "item", "item_id", "response")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def frame(payload: bytes, kind: str, event: Object) -> bytes | None:
    """Return the frame to log. The last event repeats the question; it is left out, because only the client decides
    whether a question is stored."""
    if kind in (*OPENING, "keepalive"):
        return None
    if kind in ENDS:
        said = {name: value for name, value in table(event.get("response")).items() if name not in OF_THE_QUESTION}
        repair(table(said.get("usage")))
        return to_json({**event, "type": kind, "response": said})
    return payload if event.get("type") == kind else to_json({**event, "type": kind})


class Passed:
    """The part of an answer that has been passed on: its items by position, the finished ones, and the final
    `response`. `says` are the fields of the response that we set."""

    def __init__(self, stream: str, says: Object, frames: Iterable[bytes] = ()) -> None:
        self.items: dict[int, Object] = {}
        self.over: set[int] = set()
        self.response: Object | None = None
        self._stream = stream
        self._says = says
        self._ids: dict[str, str] = {}
        for one in frames:
            self.take(one)

    def take(self, frame: bytes) -> Object:
        """The event as it goes on, but for its number."""
        event = _read(frame)
        place = event.get("output_index")
        place = place if isinstance(place, int) else len(self.items)
        if isinstance(item := event.get("item"), dict):
            event["item"] = self.items[place] = self._named(item, place)
            if event.get("type") == "response.output_item.done":
                self.over.add(place)
        if id := string(event.get("item_id")):
            event["item_id"] = self._id(id, place)
        if event.get("type") in ENDS:
            response = table(event.get("response"))
            output = [self._named(item, n) for n, item in enumerate(tables(response.get("output")))]
            event["response"] = self.response = {**response, **self._says, "output": output}
        return event

    def _named(self, item: Object, place: int) -> Object:
        id = string(item.get("id"))
        return {**item, "id": self._id(id, place)} if id else item

    def _id(self, id: str, place: int) -> str:
        return self._ids.setdefault(id, ours(id, self._stream, place))


def _read(frame: bytes) -> dict[str, Any]:
    """Decode only the parts that have to be changed. All others stay as the upstream wrote them."""
    try:
        event: dict[str, Any] = dict(_decode(frame))
    except (msgspec.DecodeError, UnicodeError):  # NaN, or what no JSON has either
        event = dict(_decode(json.dumps(loads(frame, lambda name: None)).encode()))
    return event | {name: loads(bytes(event[name])) for name in READ if name in event}
