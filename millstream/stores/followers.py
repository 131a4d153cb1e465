"""Which other workers follow which stream of this one."""

from __future__ import annotations


class Followers:
    """A table to be read from both sides; empty entries are not kept."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[str, ...]] = {}  # by stream
        self._streams: dict[str, set[str]] = {}  # by worker

    def of(self, id: str) -> tuple[str, ...]:
        return self._workers.get(id, ())

    def workers(self) -> set[str]:
        return set(self._streams)

    def add(self, worker: str, id: str) -> bool:
        """False if it did already."""
        streams = self._streams.setdefault(worker, set())
        if id in streams:
            return False
        streams.add(id)
        self._workers[id] = (*self.of(id), worker)
        return True

    def remove(self, worker: str, id: str) -> bool:
        """False if it did not."""
        streams = self._streams.get(worker, set())
        if id not in streams:
            return False
        streams.remove(id)
        if not streams:
            del self._streams[worker]
        others = tuple(other for other in self.of(id) if other != worker)
        if others:
            self._workers[id] = others
        else:
            del self._workers[id]
        return True

    def streams(self, worker: str) -> tuple[str, ...]:
        return tuple(self._streams.get(worker, ()))

    def end(self, id: str) -> None:
        """Forgets a stream."""
        for worker in self.of(id):
            self.remove(worker, id)
