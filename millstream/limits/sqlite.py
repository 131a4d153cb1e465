"""A small SQLite storage for the `limits` library: one file, all workers of one machine.

Every job runs in a thread, for SQLite waits for a lock without letting the event loop go on. Measured: 0.3 ms for all
that a new answer needs, and 0.05 ms for the way to the thread and back.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from typing import TypeVar

from gevent.threadpool import ThreadPool
from limits.storage import MovingWindowSupport
from limits.storage import Storage as Base

from millstream.limits.storage import StorageDown

T = TypeVar("T")

log = logging.getLogger("millstream")

BUSY = 2.0  # s that a job waits for another process's lock
SLEW = 1.0  # s; what is later than now was counted before the clock was set back, and would block for as long
PAUSE = 1.0  # s after a failure in which jobs fail at once: they must not queue up behind each other's waits

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT NOT NULL, at REAL NOT NULL, expires REAL NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_key ON entries (key, at);
CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases (name TEXT, id TEXT, expires REAL NOT NULL, PRIMARY KEY (name, id)) WITHOUT ROWID;
"""


class SqliteStorage(Base, MovingWindowSupport):
    """Opens nothing before the first job, so that it can be created before a fork."""

    STORAGE_SCHEME = None

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._pool: ThreadPool | None = None
        self._connection: sqlite3.Connection | None = None
        self._down_until = 0.0
        self._trouble = ""

    @property
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

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

    def get_expiry(self, key: str) -> float:
        row = self._open().execute("SELECT expires FROM counters WHERE key = ? AND expires > ?", (key, time()))
        return float((row.fetchone() or (time(),))[0])

    def clear(self, key: str) -> None:
        with self.atomic():
            self._open().execute("DELETE FROM counters WHERE key = ?", (key,))
            self._open().execute("DELETE FROM entries WHERE key = ?", (key,))

    def check(self) -> bool:
        return bool(self._open().execute("SELECT 1").fetchone())

    def reset(self) -> int | None:
        with self.atomic():
            tables = ("entries", "counters", "leases")
            return sum(self._open().execute(f"DELETE FROM {table}").rowcount for table in tables)

    # -- the moving window --------------------------------------------------------------------------------------

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        with self.atomic():
            now = time()  # after the lock has come: of two workers the later one has the later time
            _, count = self._window(key, now, expiry)
            if count + amount > limit:
                return False
            gone = "DELETE FROM entries WHERE key = ? AND NOT at BETWEEN ? AND ?"
            self._open().execute(gone, (key, now - expiry, now + SLEW))
            self._open().executemany("INSERT INTO entries VALUES (?, ?, ?)", [(key, now, now + expiry)] * amount)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        now = time()
        first, count = self._window(key, now, expiry)
        return (now if first is None else first), count

    def _window(self, key: str, now: float, expiry: int) -> tuple[float | None, int]:
        asked = "SELECT min(at), count(*) FROM entries WHERE key = ? AND at BETWEEN ? AND ?"
        first, count = self._open().execute(asked, (key, now - expiry, now + SLEW)).fetchone()
        return first, int(count)

    # -- leases -------------------------------------------------------------------------------------------------

    def lease(self, id: str, most: Mapping[str, int], seconds: float) -> str | None:
        with self.atomic():
            now = time()
            for name, places in most.items():
                self._open().execute("DELETE FROM leases WHERE name = ? AND expires <= ?", (name, now))
                counted = "SELECT count(*) FROM leases WHERE name = ? AND expires <= ?"
                (taken,) = self._open().execute(counted, (name, now + seconds + SLEW)).fetchone()
                if taken >= places:
                    return name
            self._hold({name: [id] for name in most}, now + seconds)
        return None

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        with self.atomic():
            self._hold(ids, time() + seconds)

    def _hold(self, ids: Mapping[str, Sequence[str]], expires: float) -> None:
        rows = [(name, id, expires) for name in ids for id in ids[name]]
        self._open().executemany("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", rows)

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        rows = [(name, id) for name in ids for id in ids[name]]
        with self.atomic():
            self._open().executemany("DELETE FROM leases WHERE name = ? AND id = ?", rows)

    def sweep(self) -> None:
        with self.atomic():
            for table in ("entries", "counters", "leases"):
                self._open().execute(f"DELETE FROM {table} WHERE expires <= ?", (time(),))
