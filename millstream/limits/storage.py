"""The port of the storage that counts limits for all workers, and the choice of a storage by URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class StorageDown(Exception):
    """The storage can't count at the moment: locked, full, broken, away."""


class Places(NamedTuple):
    """The places that a name has, and the seconds for which each is taken. Places that are renewed are answers that
    run; those that nobody renews or ends are a moving window: so many tries within any so many seconds."""

    most: int
    seconds: float


class Storage(Protocol):
    """Counts for all workers. Its methods block: call them in a job, `storage.run(job)`. All raise StorageDown.

    Times are in seconds. A counter lasts for `expiry` after its first `incr`. A lease is one place of each of several
    names, held under an id.
    """

    def run(self, job: Callable[[], T]) -> T:
        """Return the result of `job`; the event loop continues meanwhile."""
        ...

    def atomic(self) -> AbstractContextManager[None]:
        """Make what is done within one transaction, if the storage can do that (SQLite)."""
        ...

    def incr(self, key: str, expiry: int, amount: int = 1) -> int: ...
    def get(self, key: str) -> int: ...

    def lease(self, id: str, names: Mapping[str, Places]) -> str | None:
        """Take a place of each name, all or none. Return the first name without a free place, otherwise None."""
        ...

    def taken(self, name: str, seconds: float) -> tuple[int, float]:
        """Return how many places of a name are taken, each for `seconds`, and the seconds until the first is free."""
        ...

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        """`ids` has the leases of each name. What a storage has lost meanwhile it has again."""
        ...

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        """End leases; ignore those that don't exist."""
        ...

    def sweep(self) -> None:
        """Erases what has expired."""
        ...

    def close(self) -> None: ...
