"""Empty files made in advance: making one may cost as much as the rest of a stream's start.

ext4 looks past each file that was erased nearby in the last minutes. That takes 10 to 800 µs for a new one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import gevent
from gevent.monkey import get_original

from millstream.stores.disk import OWN, POSIX, lock

LEAST, MOST = 16, 256  # files that wait; each keeps a descriptor


class Spares:
    """Spare log files. Each is open and locked, so it belongs to this worker as long as the worker lives. `named` is
    the beginning of their names."""

    def __init__(self, named: str) -> None:
        self._named = named
        self._wanted = LEAST
        self._taken = 0  # since the last `fill`
        self._count = 0
        self._files: list[tuple[str, int]] = []
        self._making = get_original("threading", "Lock")()  # held for one file, and to close

    def take(self, path: str) -> int:
        """A new file's descriptor, locked. Raises OSError; then there is no file."""
        self._taken += 1
        while self._files:
            spare, fd = self._files.pop()
            try:
                os.rename(spare, path)  # noqa: PTH104 (a Path costs more than the call)
            except OSError:  # the folder was cleared
                os.close(fd)
            else:
                return fd
        return _make(path)

    def fill(self) -> None:
        """Makes as many as may soon be taken, in a thread: other greenlets run meanwhile."""
        taken, self._taken = self._taken, 0
        self._wanted = max(LEAST, min(MOST, 2 * taken), self._wanted - 1)
        if POSIX and len(self._files) < self._wanted:  # Windows can't rename an open file
            gevent.get_hub().threadpool.apply(self._fill)

    def close(self) -> None:
        with self._making:
            self._wanted = 0
        while self._files:
            spare, fd = self._files.pop()
            Path(spare).unlink(missing_ok=True)
            os.close(fd)

    def _fill(self) -> None:
        with suppress(OSError):  # a stream that begins meets the same error, and says so
            while self._one_more():
                pass

    def _one_more(self) -> bool:
        with self._making:
            if len(self._files) >= self._wanted:
                return False
            self._count += 1
            spare = f"{self._named}-{self._count}.spare"
            self._files.append((spare, _make(spare)))
            return True


def _make(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | OWN, 0o600)
    try:
        lock(fd)
    except OSError:
        os.close(fd)
        Path(path).unlink(missing_ok=True)
        raise
    return fd
