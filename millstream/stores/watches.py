"""The streams of other workers that are followed here: who is to be woken, and the events that came last."""

from __future__ import annotations

import logging
from collections.abc import Callable

from millstream.events import Event
from millstream.stores.log import decode

RECENT = 64  # events kept of a stream; who is further behind reads the log

_logger = logging.getLogger(__name__)


class _Watch:
    __slots__ = ("events", "owner", "wakes")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.events: list[Event] = []  # numbered without a gap, up to the newest that there is
        self.wakes: dict[object, Callable[[], None]] = {}


class Watches:
    """`first(owner, id)` and `last(owner, id)` are called when the watching of a stream begins and ends."""

    def __init__(self, first: Callable[[str, str], None], last: Callable[[str, str], None]) -> None:
        self._first = first
        self._last = last
        self._watches: dict[str, _Watch] = {}

    def add(self, id: str, owner: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Gives the function that ends the watch; calling it again does nothing."""
        watch = self._watches.get(id)
        if watch is None:
            watch = self._watches[id] = _Watch(owner)
            self._first(owner, id)
        ticket = object()
        watch.wakes[ticket] = wake

        def end() -> None:
            if watch.wakes.pop(ticket, None) and not watch.wakes and self._watches.get(id) is watch:
                del self._watches[id]
                self._last(owner, id)

        return end

    def by_owner(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        for id, watch in self._watches.items():
            ids.setdefault(watch.owner, []).append(id)
        return ids

    def ids(self) -> list[str]:
        return list(self._watches)

    def owner(self, id: str) -> str | None:
        watch = self._watches.get(id)
        return watch.owner if watch else None

    def recent(self, id: str, after: int) -> list[Event] | None:
        """The events after this number, [] if there are none yet; None: the log has to be asked."""
        watch = self._watches.get(id)
        if watch is None or not watch.events or not watch.events[0].n <= after + 1 <= watch.events[-1].n + 1:
            return None
        return watch.events[after + 1 - watch.events[0].n :]

    def news(self, id: str, data: bytes | None = None) -> None:
        """Wakes who watches: an entry was added; b"" if the log is gone; None if the log is to be looked at."""
        watch = self._watches.get(id)
        if watch is None:
            return
        events = decode(data)[0] if data else []
        if watch.events and events and events[0].n == watch.events[-1].n + 1:
            watch.events += events
            if len(watch.events) > 2 * RECENT:
                del watch.events[:-RECENT]
        else:
            watch.events = events[-RECENT:]
        for wake in tuple(watch.wakes.values()):
            try:
                wake()
            except Exception:  # one follower's fault must not hold the others up
                _logger.exception("a follower could not be woken")
