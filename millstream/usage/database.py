"""DATABASE_URL → an engine. https://docs.sqlalchemy.org/en/21/core/engines.html#database-urls"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from millstream.settings import BASE, SettingError

PATIENCE = 2  # s that a lock of another program is waited for, before it is tried again later
CONNECT = 5  # s
DRIVERS = {"psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}


def open_engine(address: str) -> Engine:
    """Connects to nothing yet. A relative path of SQLite is in settings.BASE. Raises SettingError, which shows no
    password."""
    url = _url(address)
    # The ledger keeps its writing connection for SQLite only: other databases restart now and then.
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        # SQLite would keep 128 statements: one for each number of rows that the ledger has looked for at once.
        options["connect_args"] = {"timeout": PATIENCE, "check_same_thread": False, "cached_statements": 4}
    elif url.get_backend_name() == "postgresql":
        options["connect_args"] = {"connect_timeout": CONNECT}
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError:
        raise SettingError(f"DATABASE_URL is {shown(url)}; {url.drivername} is no database known here") from None
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise SettingError(f"DATABASE_URL is {shown(url)}, which needs a driver: pip install '{package}'") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def shown(url: URL) -> str:
    """Return the address without its password, and without options that may contain one."""
    return url.set(query={}).render_as_string(hide_password=True)


def make_file(url: URL) -> None:
    """A SQLite file that nobody else can read; the ones that SQLite puts beside it are like it."""
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # not shown: where it is wrong can't be told from where the password is
        raise SettingError(
            "DATABASE_URL can't be read; it has to be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
        ) from None
    if url.drivername == "postgres":  # as hosts of databases write it
        url = url.set(drivername="postgresql")
    if url.get_backend_name() == "sqlite":
        if not url.database or ":memory:" in url.database:
            raise SettingError("DATABASE_URL is sqlite: without a file; write sqlite:///usage.db")
        url = url.set(database=str(BASE / url.database))
    return url


class _DecimalSum:
    """SQLite's own sum() would make binary fractions of decimal amounts."""

    def __init__(self) -> None:
        self._sum = Decimal(0)

    def step(self, amount: str | None) -> None:
        if amount is not None:
            self._sum += Decimal(amount)

    def finalize(self) -> str:
        return format(self._sum, "f")


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.create_aggregate("decimal_sum", 1, _DecimalSum)
    # Readers and writers don't wait for each other: https://sqlite.org/wal.html
    connection.execute("PRAGMA journal_mode=WAL")
    # A power cut may lose the last rows; the streams' logs restore them.
    connection.execute("PRAGMA synchronous=NORMAL")
