"""A question that came through a dialect, for upstreams that are asked in OpenAI's words or for texts."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from millstream.dialects.chat.answer import Reader
from millstream.events import TERMINAL, Api, Call, Event
from millstream.upstreams import Deadlines, Upstream, frames
from millstream.upstreams.frames import OPTIONS, Framed, question

HINTS = ("reasoning_effort", "seed")  # a hint is never refused


def speak(upstream: Upstream, api: Api) -> Upstream:
    """The upstream itself where it speaks this API, else one around it that translates."""
    return frames.speak(upstream, api) if api in Framed.native | upstream.native else Neutral(upstream)


class Neutral:
    """Gives events; frames of an upstream that passes them on are read. Raises RequestError (bad_field) for what
    texts can't say, where it is all that the upstream knows."""

    def __init__(self, upstream: Upstream) -> None:
        self.name = upstream.name
        self.deadlines: Deadlines = upstream.deadlines
        self.native = upstream.native
        self._upstream = upstream
        self._options = OPTIONS | getattr(upstream, "options", frozenset())

    def stream(self, call: Call) -> Iterator[list[Event]]:
        asked = structs.replace(call, api="openai")
        if "openai" in self._upstream.native:
            reader: Reader | None = Reader()
        else:
            reader = None
            options = {name: value for name, value in call.options.items() if name not in HINTS}
            asked = question(structs.replace(asked, options=options), self._options)
        batches = self._upstream.stream(asked)
        try:
            for batch in batches:
                yield batch if reader is None else _read(reader, batch)  # not the Flow, which would pour frames
        finally:
            getattr(batches, "close", lambda: None)()


def _read(reader: Reader, batch: list[Event]) -> list[Event]:
    events: list[Event] = []
    for event in batch:
        if event.type == "frame":
            events += reader.feed(event.frame)
        else:
            events.append(reader.done(event) if event.type in TERMINAL else event)
    return events
