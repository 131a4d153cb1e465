"""The other workers that follow streams of this worker."""

from __future__ import annotations


class Followers:
    """The followers, by stream. Lookups by stream happen for each batch, lookups by worker rarely."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[str, ...]] = {}  # by stream; without empty entries

    def of(self, id: str) -> tuple[str, ...]:
        return self._workers.get(id, ())

    def workers(self) -> set[str]:
        return set().union(*self._workers.values())

    def streams(self, worker: str) -> list[str]:
        return [id for id, workers in self._workers.items() if worker in workers]

    def add(self, worker: str, id: str) -> bool:
        """False if it did already."""
        if new := worker not in self.of(id):
            self._workers[id] = (*self.of(id), worker)
        return new

    def remove(self, worker: str, id: str) -> bool:
        """False if it did not."""
        others = tuple(other for other in self.of(id) if other != worker)
        if removed := others != self.of(id):
            self.end(id)
            if others:
                self._workers[id] = others
        return removed

    def end(self, id: str) -> None:
        """Forgets a stream."""
        self._workers.pop(id, None)
