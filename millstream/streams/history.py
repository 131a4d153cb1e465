"""What the log already says of a stream: its text so far, its last event, what it has cost so far."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from millstream.events import TERMINAL, Event, Usage
from millstream.formats.completion import written
from millstream.stores import Reader
from millstream.upstreams.estimate import estimate, prompt_tokens


class History(Struct, frozen=True):
    """`text` is the answer's, `last` the number of the last event, `terminal` that event if it is one."""

    text: str
    thoughts: str
    last: int
    terminal: Event | None

    def usage(self, messages: list[dict[str, Any]]) -> Usage:
        """An estimate, for a stream whose upstream could not say it: it was stopped, or it broke."""
        return Usage(prompt_tokens(messages), estimate(self.text + self.thoughts), "estimated")


def history(reader: Reader) -> History:
    """Reads to the log's end, and closes the reader."""
    text: list[str] = []
    thoughts: list[str] = []
    last: Event | None = None
    try:
        while batch := reader.read():
            text += [event.text for event in batch if event.type == "message"]
            text += [written(event.frame) for event in batch if event.type == "frame"]
            thoughts += [event.text for event in batch if event.type == "reasoning"]
            last = batch[-1]
    finally:
        reader.close()
    terminal = last if last and last.type in TERMINAL else None
    return History("".join(text), "".join(thoughts), last.n if last else 0, terminal)
