"""What the log already says of a stream: its text so far, its last event, what it has cost so far."""

from __future__ import annotations

import gevent
from msgspec import Struct

from millstream.events import TERMINAL, Event, Usage
from millstream.formats.completion import written
from millstream.stores import Reader
from millstream.upstreams.estimate import estimate

# Where the pieces of an answer weigh no more, each is one token, and their number is exact; heavier ones are several.
TOKEN = 2.0
TURN = 0.001  # s


class History(Struct, frozen=True):
    """`text` is the answer's, `last` the number of the last event, `terminal` that event if it is one, `pieces` the
    number of those with something written in them."""

    text: str
    thoughts: str
    pieces: int
    last: int
    terminal: Event | None

    def usage(self, prompt: int) -> Usage:
        """An estimate, for a stream whose upstream could not say it: it was stopped, or it broke."""
        output = estimate(self.text + self.thoughts)
        return Usage(prompt, self.pieces if output <= TOKEN * self.pieces else output, "estimated")


def history(reader: Reader) -> History:
    """Reads to the log's end, and closes the reader."""
    text: list[str] = []
    thoughts: list[str] = []
    last: Event | None = None
    try:
        while batch := reader.read():
            text += [event.text for event in batch if event.type == "message" and event.text]
            text += [said for event in batch if event.type == "frame" and (said := written(event.frame))]
            thoughts += [event.text for event in batch if event.type == "reasoning" and event.text]
            if last is not None:
                gevent.sleep(TURN)  # a log may have 64 MiB: others have their turn
            last = batch[-1]
    finally:
        reader.close()
    terminal = last if last and last.type in TERMINAL else None
    return History("".join(text), "".join(thoughts), len(text) + len(thoughts), last.n if last else 0, terminal)
