"""A log as its owner knows it: how far Redis has it, and what is still to be written."""

from __future__ import annotations

import msgspec

from millstream.events import TERMINAL, Event, Meta
from millstream.stores import StoreLost, Then
from millstream.stores.log import decode

MERGED = 1 << 14  # bytes of an entry that batches gather in while Redis is away
KEPT = 1 << 20  # bytes of a running answer that its owner can write anew where Redis was emptied

_encode_lines = msgspec.json.Encoder().encode_lines


class Entry:
    """One or more batches, written as one entry. It never changes after sending, because Redis may already have
    it."""

    __slots__ = ("before", "data", "ends", "last", "sent", "then")

    def __init__(self, before: int, batch: list[Event], then: Then | None = None) -> None:
        self.before = before  # the number before its first event
        self.last = before
        self.data = b""
        self.ends = False  # True if its last event is the terminal one
        self.sent = False
        self.then: list[tuple[int, Then]] = []  # called when it is logged up to that number
        self.add(batch, then)

    def add(self, batch: list[Event], then: Then | None = None) -> None:
        if then is not None:
            self.then.append((batch[-1].n, then))
        self.last = batch[-1].n
        self.data += _encode_lines(batch)
        self.ends = batch[-1].type in TERMINAL

    def tell(self, lost: StoreLost | None = None) -> None:
        then, self.then = self.then, []
        for last, hear in then:
            hear(lost or last)


class Log:
    """The log of a running stream. This worker is the only writer as long as its `epoch` is the newest."""

    __slots__ = ("ended", "epoch", "kept", "last", "meta", "restoring", "seized", "unwritten", "written")

    def __init__(self, meta: Meta, epoch: str = "1", last: int = 0, seized: float | None = None) -> None:
        self.meta = meta
        self.epoch = epoch
        self.last = last  # number of the last event
        self.written = last  # number of the last event that Redis has
        self.unwritten: list[Entry] = []
        self.kept: bytearray | None = bytearray() if last == 0 else None  # a copy of what Redis has, to restore it
        self.restoring = False
        self.ended = False
        self.seized = seized  # when it was seized; None after the first append

    def add(self, batch: list[Event], then: Then) -> None:
        """Events whose number is already there are dropped."""
        batch = [event for event in batch if event.n > self.last]
        if not batch:
            then(self.last)
            return
        newest = self.unwritten[-1] if self.unwritten else None
        if newest is not None and not newest.sent and len(newest.data) < MERGED:
            newest.add(batch, then)
        else:
            self.unwritten.append(Entry(self.last, batch, then))
        self.last = batch[-1].n
        self.ended = batch[-1].type in TERMINAL
        self.seized = None

    def wrote(self, entry: Entry) -> None:
        """Redis has it."""
        if self.unwritten and self.unwritten[0] is entry:
            del self.unwritten[0]
            self.written = entry.last
            if self.kept is not None:
                self.kept += entry.data
                if len(self.kept) > KEPT:
                    self.kept = None

    def held(self, after: int, away: bool) -> list[Event] | None:
        """The events after this number, if they need not be asked of Redis. What is not written yet counts only
        while Redis is away: before that a client might see what would be lost with this worker."""
        if after >= (self.last if away else self.written):
            return []
        if after < self.written:
            return None
        events = [event for entry in self.unwritten for event in decode(entry.data)[0]]
        return [event for event in events if event.n > after]
