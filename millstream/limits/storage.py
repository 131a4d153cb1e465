"""Where limits are counted, for all workers together: the port, and which storage a URL names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

T = TypeVar("T")


class StorageDown(Exception):
    """The storage can't count at the moment: locked, full, broken, away."""


class Storage(Protocol):
    """Counts for all workers. Its methods block: call them in a job, `storage.run(job)`. All raise StorageDown.

    The first five are the `limits` library's (https://limits.readthedocs.io/en/stable/api.html), whose strategies
    work on it. Times are in seconds. A lease is one place of each of several names, held under an id.
    """

    def run(self, job: Callable[[], T]) -> T:
        """Return the result of `job`; the event loop continues meanwhile."""
        ...

    def atomic(self) -> AbstractContextManager[None]:
        """Make what is done within one transaction, if the storage can do that (SQLite)."""
        ...

    def incr(self, key: str, expiry: int, amount: int = 1) -> int: ...
    def get(self, key: str) -> int: ...
    def clear(self, key: str) -> None: ...
    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool: ...
    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]: ...

    def lease(self, id: str, most: Mapping[str, int], seconds: float) -> str | None:
        """Takes a place of each name, all or none; `most` says how many each name has. Gives the name that has none
        left, else None. A lease ends after `seconds` unless it is renewed."""
        ...

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        """`ids` has the leases of each name. What a storage has lost meanwhile it has again."""
        ...

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Ends leases; absent ones are fine."""
        ...

    def sweep(self) -> None:
        """Erases what has expired."""
        ...

    def close(self) -> None: ...
