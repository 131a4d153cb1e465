"""The streams of other workers that are followed here, and who is to be woken for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from pathlib import Path

_logger = logging.getLogger(__name__)


class _Watch:
    __slots__ = ("owner", "path", "size", "wakes")

    def __init__(self, owner: str, path: Path) -> None:
        self.owner = owner
        self.path = path
        self.size = _size(path)
        self.wakes: dict[object, Callable[[], None]] = {}


class Watches:
    """`first(owner, id)` and `last(owner, id)` are called when the watching of a stream begins and ends."""

    def __init__(self, first: Callable[[str, str], None], last: Callable[[str, str], None]) -> None:
        self._first = first
        self._last = last
        self._watches: dict[str, _Watch] = {}

    def add(self, id: str, owner: str, path: Path, wake: Callable[[], None]) -> Callable[[], None]:
        """Gives the function that ends the watch; calling it again does nothing."""
        watch = self._watches.get(id)
        if watch is None:
            watch = self._watches[id] = _Watch(owner, path)
            self._first(owner, id)
        ticket = object()
        watch.wakes[ticket] = wake

        def end() -> None:
            if watch.wakes.pop(ticket, None) and not watch.wakes and self._watches.get(id) is watch:
                del self._watches[id]
                self._last(owner, id)

        return end

    def owners(self) -> set[str]:
        return {watch.owner for watch in self._watches.values()}

    def wake(self, id: str) -> None:
        watch = self._watches.get(id)
        for wake in tuple(watch.wakes.values()) if watch else ():
            try:
                wake()
            except Exception:  # one follower's fault must not hold the others up
                _logger.exception("a follower could not be woken")

    def check(self, dead: Set[str]) -> None:
        """Wakes those of dead owners, and those whose log changed or went: a ring may have been lost."""
        for id, watch in list(self._watches.items()):
            size = _size(watch.path)
            if size != watch.size or watch.owner in dead:
                watch.size = size
                self.wake(id)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
