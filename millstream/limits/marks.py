"""Words that all workers know for a while, and that outlive them: log-ins that were ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from millstream.errors import Unavailable
from millstream.limits.storage import Storage, StorageDown

T = TypeVar("T")


class Marks:
    """Marks that all workers share. Raises Unavailable (store_unavailable) if they can't be stored or looked up."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def put(self, word: str, seconds: int) -> None:
        self._run(lambda: self._storage.incr(f"mark/{word}", seconds))

    def has(self, word: str) -> bool:
        return self._run(lambda: self._storage.get(f"mark/{word}")) > 0

    def _run(self, job: Callable[[], T]) -> T:
        try:
            return self._storage.run(job)
        except StorageDown as error:
            raise Unavailable(
                "store_unavailable", "Log-ins can't be looked up at the moment. Try again.", retry_after=2
            ) from error
