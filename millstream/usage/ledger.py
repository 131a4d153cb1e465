"""The ledger in its database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import json
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from millstream.settings import SettingError
from millstream.streams import Row
from millstream.usage.database import make_file, open_engine, shown
from millstream.usage.sums import Sum, query, sums
from millstream.usage.table import usage, values

log = logging.getLogger("millstream")


class Unwritable(Exception):
    """The database does not take or give anything now; the message says why."""


class Ledger:
    """The ledger: one row for each stream, even if its end is reported several times. Every method blocks. Raises
    SettingError if the address is wrong."""

    def __init__(self, address: str) -> None:
        self._engine = open_engine(address)
        self._ready = False
        self._kept: Connection | None = None  # to write with: a new one for each batch is a fifth of a start
        self._file = 0  # the inode that it has open

    def check(self) -> None:
        """Makes the table if there is none. Raises SettingError with a sentence; a database may be busy."""
        try:
            with _trouble():
                self._connect().close()
        except _OneRow:
            pass  # PostgreSQL, where somebody else makes it at this moment
        except Unwritable as error:
            if "locked" not in str(error):
                raise SettingError(f"DATABASE_URL is {shown(self._engine.url)}: {error}") from None

    def write(self, rows: Sequence[Row]) -> None:
        """Adds those that it doesn't have. Raises Unwritable; then nothing is written, and all may come again."""
        try:
            with _trouble():
                self._add(rows)
        except _OneRow:  # another worker was faster, or it is a row that the database refuses
            for row in rows:
                try:
                    with _trouble():
                        self._add([row])
                except _OneRow as error:
                    if not isinstance(error.__cause__, IntegrityError):
                        log.error("a row that the ledger refuses (%s): %s", error, json.encode(row).decode())

    def sums(self, by: Sequence[str], since: str, caller: str | None = None) -> list[Sum]:
        """Return sums over the days from `since` (2026-01-31, UTC) on, grouped by some of COLUMNS. Raises
        Unwritable."""
        exact_sum = "decimal_sum" if self._engine.dialect.name == "sqlite" else "sum"
        with _trouble(), self._connect() as connection:
            return sums(connection.execute(query(by, since, caller, exact_sum)).all(), by)

    def _add(self, rows: Sequence[Row]) -> None:
        new = {row.id: row for row in rows}
        with self._writing() as connection:
            for (id,) in connection.execute(select(usage.c.id).where(usage.c.id.in_(list(new)))):
                del new[id]
            connection.rollback()  # SQLite makes no writer of a reader while others write
            if new:
                connection.execute(insert(usage), [values(row) for row in new.values()])
                connection.commit()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        file = self._inode()
        connection, self._kept = self._kept, None
        if connection is not None and file != self._file:  # somebody has put another file there
            connection.close()
            connection, self._ready = None, False
        connection = connection or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._file = self._inode()
        if self._file:
            self._kept = connection
        else:
            connection.close()

    def _inode(self) -> int:
        """The inode of SQLite's file; 0 if there is none, or for another database."""
        if self._engine.dialect.name != "sqlite":
            return 0
        try:
            return Path(str(self._engine.url.database)).stat().st_ino
        except OSError:
            return 0

    def close(self) -> None:
        connection, self._kept = self._kept, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Connection:
        if not self._ready and self._engine.dialect.name == "sqlite":
            make_file(self._engine.url)
        connection = self._engine.connect()
        if not self._ready:
            try:
                connection.execute(CreateTable(usage, if_not_exists=True))
                for index in usage.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
                connection.commit()
            except BaseException:
                connection.close()
                raise
            self._ready = True
        return connection


class _OneRow(Exception):
    """Raised if one row of several may have caused the error."""


@contextmanager
def _trouble() -> Iterator[None]:
    """Separate temporary errors of the database from errors of a row."""
    try:
        yield
    except (IntegrityError, DataError, OverflowError, UnicodeError) as error:
        raise _OneRow(_says(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise Unwritable(_says(error)) from error


def _says(error: BaseException) -> str:
    """The database's own words, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
