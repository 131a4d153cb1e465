"""Reads one stream's log, from Redis only where nothing nearer has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from millstream.events import Event
from millstream.stores.log import decode, lost
from millstream.stores.memory import slice_of
from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.log import Log
from millstream.stores.redis.scripts import READ
from millstream.stores.watches import Watches


class RedisReader:
    """A position is the number of the event before it. `logs` and `watches` are this worker's; `absent` makes the
    error for a log that is not there."""

    __slots__ = ("_absent", "_after", "_events", "_id", "_link", "_logs", "_next", "_watches")

    def __init__(
        self,
        id: str,
        link: Link,
        logs: Mapping[str, Log],
        watches: Watches,
        absent: Callable[[], Exception],
        after: int,
    ) -> None:
        self._absent = absent
        self._id = id
        self._link = link
        self._logs = logs
        self._watches = watches
        self._after = after
        self._events: list[Event] = []  # fetched already; what was given is before the index `_next`
        self._next = 0

    def read(self, limit: int = 65536) -> list[Event]:
        if self._next == len(self._events):
            self._events, self._next = self._fetch(limit), 0
        events = slice_of(self._events, self._next, limit)
        self._next += len(events)
        if events:
            self._after = events[-1].n
        return events

    def seek(self, position: int) -> None:
        if position > self._after:
            self._after = position
            self._events, self._next = [], 0

    def close(self) -> None:
        pass

    def _fetch(self, limit: int) -> list[Event]:
        log = self._logs.get(self._id)
        held = log.held(self._after, not self._link.up) if log else self._watches.recent(self._id, self._after)
        if held is not None:
            return held
        command = READ.command([names.log(self._id)], self._after + 1, max(limit, 1))
        found: list[bytes] | None = self._link.call(*command, read=True)
        if found is None:
            raise self._absent()
        data = b"".join(found)
        events, size = decode(data)
        events = [event for event in events if event.n > self._after]
        if size < len(data):
            events.append(lost(events[-1].n if events else self._after))
        elif events and events[0].n != self._after + 1:
            return [lost(self._after)]
        return events
