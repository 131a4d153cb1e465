"""The folder of gunicorn's metrics. It exists as long as one of gunicorn's processes lives.

Each process holds a lock on the folder. The kernel releases the lock if the process is killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "millstream-metrics-"
LOCK = "lock"


class Room:
    """The folder, created by gunicorn's master. Each worker joins it and leaves it; the last one removes it."""

    def __init__(self, parent: str | None) -> None:
        """Create a fresh folder, so that counts begin at 0. Remove folders whose processes have all been killed."""
        where = Path(parent or tempfile.gettempdir())
        for old in where.glob(f"{PREFIX}*"):
            _remove_unless_locked(old)
        new = Path(tempfile.mkdtemp(prefix=".millstream-", dir=where))
        self._lock = _shared(new)
        # Rename only now, so that nobody finds the folder unlocked.
        self.path = new.rename(new.with_name(PREFIX + new.name.removeprefix(".millstream-")))

    def join(self) -> None:
        """Take a lock for this worker, after the fork. The inherited lock is the master's."""
        inherited, self._lock = self._lock, _shared(self.path)
        os.close(inherited)

    def leave(self) -> None:
        os.close(self._lock)
        _remove_unless_locked(self.path)


def _shared(room: Path) -> int:
    lock = os.open(room / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def _remove_unless_locked(room: Path) -> None:
    with suppress(OSError):  # it belongs to another user, has no lock, or has just been removed
        lock = os.open(room / LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(room)
        finally:
            os.close(lock)
