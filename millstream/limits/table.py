"""The table of storages. To add one, write a file and add a line here."""

from __future__ import annotations

from collections.abc import Callable

from millstream.limits.storage import Storage
from millstream.settings import BASE, SettingError


def open_storage(url: str) -> Storage:
    """`sqlite:FILE`, where a relative FILE is in settings.BASE, or an address of Redis. Opens nothing yet.
    Raises SettingError."""
    kind = url.partition(":")[0]
    if kind not in STORAGES:
        # Show only the first word: the rest may hold a password.
        raise SettingError(f"limits_store begins with {kind!r}; it has to be sqlite:FILE or redis://…")
    return STORAGES[kind](url)


def _sqlite(url: str) -> Storage:
    from millstream.limits.sqlite import SqliteStorage

    path = url.partition(":")[2].removeprefix("//")
    if not path:
        raise SettingError("limits_store is 'sqlite:'; it has to name a file: sqlite:limits.db")
    return SqliteStorage(BASE / path)


def _redis(url: str) -> Storage:
    from millstream.limits.redis import RedisStorage

    return RedisStorage(url)


STORAGES: dict[str, Callable[[str], Storage]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
}
