"""Counters and leases in a small SQLite file: for all workers of one machine.

Every job runs in a thread, for SQLite waits for a lock without letting the event loop go on. Measured: 0.3 ms for all
that a new answer needs, and 0.05 ms for the way to the thread and back.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from typing import TypeVar

from gevent.threadpool import ThreadPool

from millstream.limits.storage import Places, StorageDown

T = TypeVar("T")

log = logging.getLogger("millstream")

BUSY = 2.0  # s that a job waits for another process's lock
SLEW = 1.0  # s; what is later than now was counted before the clock was set back, and would block for as long
PAUSE = 1.0  # s after a failure in which jobs fail at once: they must not queue up behind each other's waits

SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases (name TEXT, id TEXT, expires REAL NOT NULL, PRIMARY KEY (name, id)) WITHOUT ROWID;
"""


class SqliteStorage:
    """Opens nothing before the first job, so that it can be created before a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool: ThreadPool | None = None
        self._connection: sqlite3.Connection | None = None
        self._down_until = 0.0
        self._trouble = ""

    # -- jobs ---------------------------------------------------------------------------------------------------

    def run(self, job: Callable[[], T]) -> T:
        if self._pool is None:
            self._pool = ThreadPool(1)  # one: the connection belongs to it, and jobs don't lock each other out
        # Errors are returned as values: gevent would print a traceback for each.
        result, error = self._pool.spawn(self._try, job).get()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _try(self, job: Callable[[], T]) -> tuple[T | None, Exception | None]:
        if monotonic() < self._down_until:
            return None, StorageDown(self._trouble)
        try:
            return job(), None
        except (sqlite3.Error, OSError) as error:
            self._down_until = monotonic() + PAUSE
            self._trouble = f"{self._path}: {error}"
            self._disconnect()
            down = StorageDown(self._trouble)
            down.__cause__ = error
            return None, down
        except Exception as error:
            return None, error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None)
            try:
                self._path.chmod(0o600)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")  # no fsync but at checkpoints
                connection.executescript(SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def atomic(self) -> Iterator[None]:
        connection = self._open()
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.spawn(self._disconnect).get()
            self._pool.kill()
            self._pool = None

    # -- counters -----------------------------------------------------------------------------------------------

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = time()
        with self.atomic():
            self._open().execute("DELETE FROM counters WHERE key = ? AND expires <= ?", (key, now))
            (value,) = (
                self._open()
                .execute(
                    "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (key) "
                    "DO UPDATE SET value = value + excluded.value RETURNING value",
                    (key, amount, now + expiry),
                )
                .fetchall()[0]
            )
        return int(value)

    def get(self, key: str) -> int:
        row = self._open().execute("SELECT value FROM counters WHERE key = ? AND expires > ?", (key, time()))
        return int((row.fetchone() or (0,))[0])

    # -- leases -------------------------------------------------------------------------------------------------

    def lease(self, id: str, names: Mapping[str, Places]) -> str | None:
        with self.atomic():
            now = time()
            self._open().executemany(
                "DELETE FROM leases WHERE name = ? AND expires <= ?", [(name, now) for name in names]
            )
            for name, (most, seconds) in names.items():
                if self._count(name, now, seconds)[0] >= most:
                    return name
            self._hold((name, id, now + places.seconds) for name, places in names.items())
        return None

    def taken(self, name: str, seconds: float) -> tuple[int, float]:
        now = time()
        count, first = self._count(name, now, seconds)
        return count, seconds if first is None else first - now

    def _count(self, name: str, now: float, seconds: float) -> tuple[int, float | None]:
        asked = "SELECT count(*), min(expires) FROM leases WHERE name = ? AND expires > ? AND expires <= ?"
        count, first = self._open().execute(asked, (name, now, now + seconds + SLEW)).fetchone()
        return int(count), first

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        with self.atomic():
            self._hold((name, id, time() + seconds) for name in ids for id in ids[name])

    def _hold(self, rows: Iterable[tuple[str, str, float]]) -> None:
        self._open().executemany("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", rows)

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        rows = [(name, id) for name in ids for id in ids[name]]
        with self.atomic():
            self._open().executemany("DELETE FROM leases WHERE name = ? AND id = ?", rows)

    def sweep(self) -> None:
        with self.atomic():
            for table in ("counters", "leases"):
                self._open().execute(f"DELETE FROM {table} WHERE expires <= ?", (time(),))
