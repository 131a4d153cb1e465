"""Claims map an Idempotency-Key to a stream. Each is a symbolic link from the claim's hash to the stream's id.

symlink(2) creates name and content in one step. A lock, held for a few microseconds, prevents two workers from
replacing the same stale claim.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from millstream.events import Meta
from millstream.stores.disk import POSIX, lock
from millstream.stores.room import files

NAMED = "named "  # prefix of names, so that no claim looks like a name


class Claims:
    """`holder` gives the Meta of a stream whose log still counts, else None."""

    def __init__(self, directory: Path, holder: Callable[[str], Meta | None]) -> None:
        self._directory = directory
        self._holder = holder
        directory.mkdir(mode=0o700, exist_ok=True)

    def take(self, claim: str, id: str) -> Meta | None:
        """Take the claim and return None, or return the Meta of the stream that already has it."""
        path = self._path(claim)
        with self._lock():
            older = _target(path)
            meta = self._holder(older) if older else None
            if meta is None:
                path.unlink(missing_ok=True)
                _point(path, id)
            return meta

    def put(self, claim: str, id: str) -> None:
        """A name, which is this stream's now, whoever had it."""
        path = self._path(NAMED + claim)
        with self._lock():
            path.unlink(missing_ok=True)
            _point(path, id)

    def find(self, claim: str, *, take: bool = False) -> str | None:
        """The stream that has it, if its log still counts; with `take` nobody has it afterwards."""
        path = self._path(NAMED + claim)
        with self._lock():
            id = _target(path)
            if take:
                path.unlink(missing_ok=True)
        return id if id and self._holder(id) else None

    def drop(self, claim: str, id: str) -> None:
        """Gives it back, if `id` has it."""
        path = self._path(claim)
        with self._lock():
            if _target(path) == id:
                path.unlink()

    def sweep(self) -> None:
        """Remove claims whose stream is gone."""
        for entry in files(self._directory, ""):
            path = Path(entry.path)
            with self._lock():
                id = _target(path)
                if id and self._holder(id) is None:
                    path.unlink()

    def _path(self, claim: str) -> Path:
        return self._directory / sha256(claim.encode()).hexdigest()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(fd, wait=True)
            yield
        finally:
            os.close(fd)


def _point(path: Path, id: str) -> None:
    if POSIX:
        path.symlink_to(id)
    else:  # on Windows, creating links needs a privilege
        path.write_text(id, "ascii")


def _target(path: Path) -> str | None:
    with suppress(OSError):  # absent, or the lock file
        if not POSIX:
            return path.read_text("ascii") or None
        return os.readlink(path)  # noqa: PTH115 (Path.readlink makes a path of what is an id)
    return None
