"""The history of a stream, read from its log: the text so far, the last event, the tokens so far."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import gevent
from msgspec import Struct

from millstream.errors import MillstreamError, RequestError, Unavailable
from millstream.events import TERMINAL, Event, Usage
from millstream.stores import Reader
from millstream.upstreams.estimate import weight

# Pieces up to this weight are one token each, so their number is exact; heavier pieces are several tokens.
TOKEN = 2.0
TURN = 0.001  # s


class Tally:
    """An estimate of an answer's tokens, for streams that were stopped or broke off before the upstream counted."""

    __slots__ = ("_pieces", "_weight")

    def __init__(self) -> None:
        self._pieces = 0  # events with text
        self._weight = 0.0

    def add(self, batch: Sequence[Event]) -> None:
        if len(batch) == 1:
            text = batch[0].text
            self._pieces += text != ""
        else:
            texts = [event.text for event in batch if event.text]
            self._pieces += len(texts)
            text = "".join(texts)
        self._weight += weight(text)

    def usage(self, prompt: int) -> Usage:
        output = ceil(self._weight)
        return Usage(prompt, self._pieces if output <= TOKEN * self._pieces else output, "estimated")


class History(Struct, frozen=True):
    """The answer's `text`, the number of the `last` event, and that event if it is `terminal`."""

    text: str
    last: int
    terminal: Event | None
    tally: Tally

    def reaches(self, after: int, offset: int) -> bool:
        """Return whether the log has this event and this byte of the text; it always has those with the number 0."""
        return self.last >= after and (not offset or len(self.text.encode()) >= offset)

    def missing(self, after: int, offset: int) -> MillstreamError:
        """Return the error for a place that the log does not reach. While the stream's owner lives, the missing part
        may still be written. It is lost only if the stream has ended before it."""
        place = f"event {after}" if after else f"byte {offset}"
        if self.terminal is None:
            says = f"This stream has not reached {place} yet. Try again."
            return Unavailable("store_unavailable", says, retry_after=1)
        says = f"This stream has no {place}: it was lost, or never existed. Ask again, or from an earlier position."
        return RequestError("bad_position", says)


def history(reader: Reader) -> History:
    """Read to the end of the log, and close the reader."""
    text: list[str] = []
    tally = Tally()
    last: Event | None = None
    try:
        while batch := reader.read():
            text += [event.text for event in batch if event.type == "message" and not event.choice and event.text]
            tally.add(batch)
            if last is not None:
                gevent.sleep(TURN)  # a log may have 64 MiB: let other greenlets run
            last = batch[-1]
    finally:
        reader.close()
    return History("".join(text), last.n if last else 0, last if last and last.type in TERMINAL else None, tally)
