"""The folder where a gunicorn's workers count: there as long as one of its processes is, however the others ended.

Each of them holds a lock, which the kernel takes back from the dead.
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
    """Made in gunicorn's master. Each worker joins, and leaves; the last one to leave removes the folder."""

    def __init__(self, parent: str | None) -> None:
        """A fresh one: figures begin with this master. Folders whose processes were all killed are removed."""
        where = Path(parent or tempfile.gettempdir())
        for old in where.glob(f"{PREFIX}*"):
            _remove_unless_locked(old)
        new = Path(tempfile.mkdtemp(prefix=".millstream-", dir=where))
        self._lock = _shared(new)
        # Rename only now, so that nobody finds the folder unlocked.
        self.path = new.rename(new.with_name(PREFIX + new.name.removeprefix(".millstream-")))

    def join(self) -> None:
        """Join in a worker, after the fork: the inherited lock is the master's."""
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
    with suppress(OSError):  # another user's, one without a lock, or gone meanwhile
        lock = os.open(room / LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(room)
        finally:
            os.close(lock)
