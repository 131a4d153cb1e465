"""A descriptor that is read from the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import get_hub

from millstream.sockets.gathering import READ, Gathering


class Reading:
    """Calls `turn` from the event loop whenever the descriptor has something to read, until `stop`. After the first
    time it is gathered with others."""

    __slots__ = ("_descriptor", "_gathered", "_turn", "_watcher")

    def __init__(self, descriptor: int, turn: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._turn = turn
        self._gathered: Gathering | None = None
        self._watcher: Any = get_hub().loop.io(descriptor, READ)
        self._watcher.start(self._first)

    def _first(self) -> None:
        turn = self._turn
        if (gathering := Gathering.of(get_hub())) is not None:
            self._end_watch()
            gathering.add(self._descriptor, turn)
            self._gathered = gathering
        turn()

    def stop(self) -> None:
        """Stop reading. Call this before the descriptor is closed. Idempotent."""
        self._end_watch()
        if self._gathered is not None:
            self._gathered.remove(self._descriptor)
            self._gathered = None

    def _end_watch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
