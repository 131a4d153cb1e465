"""Streams kept in the memory of the one worker there is; they end with it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from math import inf

from millstream.errors import NotFound
from millstream.events import TERMINAL, Event, Meta
from millstream.stores import Inbox, StoreLost, Then, Word, at_once

EMPTY = 32  # bytes of an event without text


def worker_name() -> str:
    """A name no other worker has, nor this one after a restart."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def size(event: Event) -> int:
    """The approximate size in bytes. An event without text has one, too: an upstream may flood with them."""
    total = len(event.text) or EMPTY + len(event.signature)
    if event.frames:
        total += sum(map(len, event.frames))
    return total + len(event.call.id) + len(event.call.name) if event.call else total


def size_of(batch: Sequence[Event]) -> int:
    """The same for many at once, without a call for each that is only text."""
    total = 0
    for event in batch:
        total += size(event) if event.frames or event.call or not event.text else len(event.text)
    return total


def slice_of(events: list[Event], start: int, limit: int) -> list[Event]:
    """The events from index `start` on, about `limit` bytes of them and at least one if there is one."""
    taken = 0
    for stop in range(start, len(events)):
        taken += size(events[stop])
        if taken >= limit:
            return events[start : stop + 1]
    return events[start:]


class _Log:
    __slots__ = ("ended", "events", "meta", "size")

    def __init__(self, meta: Meta) -> None:
        self.meta = meta
        self.events: list[Event] = []
        self.ended: float | None = None  # by the monotonic clock, since the system's clock may step back
        self.size = 0


class MemoryStore:
    """A store for one worker, which owns everything: nobody has to be told, and nothing can be seized."""

    belated = 0.0

    def __init__(self, ttl: float, size: int = 0) -> None:
        """`size` is what all logs may take together, in bytes; 0: anything."""
        self._limit = size or inf
        self._used = 0
        self.worker = worker_name()
        self._ttl = ttl
        self._logs: dict[str, _Log] = {}
        self._claims: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._inbox: Inbox | None = None

    def start(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def close(self) -> None:
        self._inbox = None

    @property
    def away(self) -> bool:
        """True if the store is full and has no ended stream to erase."""
        return self._used >= self._limit and not self._make_room()

    def _make_room(self) -> bool:
        for log in [log for log in self._logs.values() if log.ended is not None]:  # the oldest first
            if self._used < self._limit:
                break
            self.delete(log.meta.id)
        return self._used < self._limit

    def create(self, meta: Meta) -> Meta:
        if meta.claim is not None:
            older = self._claims.setdefault(meta.claim, meta.id)
            if older != meta.id:
                return self._logs[older].meta
        self._logs[meta.id] = _Log(meta)
        return meta

    def meta(self, id: str) -> Meta:
        return self._log(id).meta

    def point(self, name: str, id: str) -> None:
        self._names[name] = id

    def pointed(self, name: str, *, take: bool = False) -> str | None:
        id = self._names.pop(name, None) if take else self._names.get(name)
        return id if id in self._logs else None

    def append(self, id: str, batch: list[Event], then: Then | None = None) -> int:
        return at_once(self._append, id, batch, then)

    def _append(self, id: str, batch: list[Event]) -> int:
        log = self._logs.get(id)
        if log is None or log.ended is not None:
            raise StoreLost(f"stream {id} has ended or is erased; nothing can be added to it")
        # Events count from 1 without gaps, so a log's length is its last number.
        before = len(log.events)
        log.events += [event for event in batch if event.n > before]
        added = size_of(log.events[before:])
        log.size += added
        self._used += added
        if log.events and log.events[-1].type in TERMINAL:
            log.ended = time.monotonic()
        return len(log.events)

    def reader(self, id: str, after: int = 0) -> MemoryReader:
        self._log(id)
        return MemoryReader(self._logs, id, after)

    def watch(self, id: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Do nothing: there are no other workers to hear from."""
        self._log(id)
        return lambda: None

    def seize(self, id: str) -> bool:
        return False

    def orphans(self) -> list[str]:
        return []

    def release(self, id: str) -> None:
        log = self._logs.get(id)
        if log and log.meta.claim is not None and self._claims.get(log.meta.claim) == id:
            del self._claims[log.meta.claim]

    def delete(self, id: str) -> None:
        self.release(id)
        if log := self._logs.pop(id, None):
            self._used -= log.size

    def tell(self, id: str, word: Word) -> None:
        if id in self._logs and self._inbox:
            self._inbox(self.worker, id, word)

    def sweep(self, now: float) -> int:
        now += time.monotonic() - time.time()
        expired = [id for id, log in self._logs.items() if log.ended is not None and now - log.ended > self._ttl]
        for id in expired:
            self.delete(id)
        self._names = {name: id for name, id in self._names.items() if id in self._logs}
        return len(expired)

    def _log(self, id: str) -> _Log:
        try:
            return self._logs[id]
        except KeyError:
            raise NotFound from None


class MemoryReader:
    """A position is the number of events before it."""

    __slots__ = ("_events", "_id", "_logs", "_position")

    def __init__(self, logs: dict[str, _Log], id: str, after: int) -> None:
        self._logs = logs
        self._id = id
        self._position = after
        self._events: list[Event] | None = None

    def read(self, limit: int = 65536) -> list[Event]:
        log = self._logs.get(self._id)
        if self._events is None and log is not None:
            self._events = log.events
        events = slice_of(self._events or [], self._position, limit)
        if not events and log is None:
            raise NotFound
        self._position += len(events)
        return events

    def seek(self, position: int) -> None:
        self._position = max(self._position, position)

    def close(self) -> None:
        self._events = None
