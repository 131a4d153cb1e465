"""Streams kept in the memory of the one worker there is; they end with it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable

from millstream.errors import NotFound
from millstream.events import TERMINAL, Event, Meta
from millstream.stores import Inbox, StoreLost, Word


def worker_name() -> str:
    """A name no other worker has, nor this one after a restart."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def slice_of(events: list[Event], start: int, limit: int) -> list[Event]:
    """The events from index `start` on, about `limit` bytes of them and at least one if there is one."""
    size = 0
    for stop in range(start, len(events)):
        size += len(events[stop].text) + len(events[stop].frame)
        if size >= limit:
            return events[start : stop + 1]
    return events[start:]


class _Log:
    __slots__ = ("ended", "events", "meta")

    def __init__(self, meta: Meta) -> None:
        self.meta = meta
        self.events: list[Event] = []
        self.ended: float | None = None  # Unix time


class MemoryStore:
    """One worker owns everything, so nobody has to be told, and nothing can be seized."""

    away = False
    waits = False
    belated = 0.0

    def __init__(self, ttl: float) -> None:
        self.worker = worker_name()
        self._ttl = ttl
        self._logs: dict[str, _Log] = {}
        self._claims: dict[str, str] = {}
        self._inbox: Inbox | None = None

    def start(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def close(self) -> None:
        self._inbox = None

    def create(self, meta: Meta) -> Meta:
        if meta.claim is not None:
            older = self._claims.setdefault(meta.claim, meta.id)
            if older != meta.id:
                return self._logs[older].meta
        self._logs[meta.id] = _Log(meta)
        return meta

    def meta(self, id: str) -> Meta:
        return self._log(id).meta

    def append(self, id: str, batch: list[Event]) -> int:
        log = self._logs.get(id)
        if log is None or log.ended is not None:
            raise StoreLost(f"stream {id} has ended or is erased; nothing can be added to it")
        # Events count from 1 without gaps, so a log's length is its last number.
        log.events += [event for event in batch if event.n > len(log.events)]
        if log.events and log.events[-1].type in TERMINAL:
            log.ended = time.time()
        return len(log.events)

    def reader(self, id: str, after: int = 0) -> MemoryReader:
        self._log(id)
        return MemoryReader(self._logs, id, after)

    def watch(self, id: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Never wakes: there are no other workers."""
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
        self._logs.pop(id, None)

    def tell(self, id: str, word: Word) -> None:
        if id in self._logs and self._inbox:
            self._inbox(self.worker, id, word)

    def sweep(self, now: float) -> int:
        expired = [id for id, log in self._logs.items() if log.ended is not None and now - log.ended > self._ttl]
        for id in expired:
            self.delete(id)
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
