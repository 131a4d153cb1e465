"""Reads one stream's log: its file, and behind it what the disk had no room for."""

from __future__ import annotations

import os
from collections.abc import Mapping

from millstream.errors import NotFound
from millstream.events import Event
from millstream.stores.disk import OWN
from millstream.stores.log import Tail, decode, header, lost, place, whole_lines
from millstream.stores.memory import slice_of


class FileReader:
    """Keeps a position and nothing else. `tails` are this worker's own, by stream."""

    __slots__ = ("_after", "_broken", "_fd", "_id", "_path", "_position", "_tails")

    def __init__(self, path: str, id: str, tails: Mapping[str, Tail], after: int) -> None:
        self._path = path
        self._id = id
        self._tails = tails
        self._after = after
        self._position = 0
        self._fd = -1
        self._broken = False

    def read(self, limit: int = 65536) -> list[Event]:
        if self._fd < 0:
            self._open()
        while events := self._next(limit):
            if events[0].n <= self._after:
                events = [event for event in events if event.n > self._after]
            if events:
                self._after = events[-1].n
                return events
        # An erased log sends no news: without this check its follower would wait forever.
        if not self._broken and not os.fstat(self._fd).st_nlink:
            raise NotFound
        return []

    def seek(self, position: int) -> None:
        self._position = position  # an earlier position does no harm: events are recognised by their number

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | OWN)
        except FileNotFoundError:
            raise NotFound from None
        if self._position:
            return
        try:
            _, self._position = header(self._fd)
        except NotFound:
            self.close()
            raise
        if self._after:
            tail = self._tails.get(self._id)
            end = os.fstat(self._fd).st_size if tail is None else tail.base
            self._position = place(self._fd, self._position, end, self._after)

    def _next(self, limit: int) -> list[Event]:
        tail = self._tails.get(self._id)
        if tail is not None and self._position >= tail.base:
            events = slice_of(tail.events, self._position - tail.base, limit)
            self._position += len(events)
            return events
        data = whole_lines(self._fd, self._position, limit, None if tail is None else tail.base)
        if not data or self._broken:
            return []
        events, size = decode(data)
        self._position += size
        self._broken = not events
        return events or [lost(self._after)]
