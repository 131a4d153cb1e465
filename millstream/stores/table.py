"""The table of stores. To add one, write a file and add a line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from millstream.settings import BASE, SettingError
from millstream.stores import Store
from millstream.stores.file import FileStore
from millstream.stores.memory import MemoryStore


def _memory(place: str, ttl: float, workers: int, size: int) -> Store:
    if place:
        raise SettingError(f"MILLSTREAM_STORE is 'memory:{place}'; it has to be memory: alone")
    if workers > 1:
        raise SettingError(
            f"MILLSTREAM_STORE is memory:, which {workers} workers can't share;"
            " leave it out, or start one worker (WEB_CONCURRENCY=1)"
        )
    return MemoryStore(ttl, size)


def _file(place: str, ttl: float, workers: int, size: int) -> Store:
    directory = place.removeprefix("//")  # file:///var/lib/streams is what a URL would look like
    if not directory:
        raise SettingError("MILLSTREAM_STORE is 'file:'; it has to name a directory: file:streams")
    return FileStore(BASE / directory, ttl, size)


def _redis(scheme: str, place: str, ttl: float, workers: int, size: int) -> Store:
    from millstream.stores.redis import RedisStore  # only servers that use it pay for the import

    return RedisStore(f"{scheme}:{place}", ttl)


STORES: dict[str, Callable[[str, float, int, int], Store]] = {
    "memory": _memory,
    "file": _file,
    "redis": partial(_redis, "redis"),
    "rediss": partial(_redis, "rediss"),
    "unix": partial(_redis, "unix"),
}


def open_store(url: str, *, ttl: float, workers: int, size: int = 0) -> Store:
    """`memory:`, `redis://…`, or `file:DIR` where a relative DIR is in settings.BASE. `ttl` is in
    seconds, `size` in bytes and 0 for no limit; Redis has its own, `maxmemory`.
    Raises SettingError."""
    kind, _, place = url.partition(":")
    if kind not in STORES:
        # Show only the first word: the rest may hold a password.
        raise SettingError(f"MILLSTREAM_STORE begins with {kind!r}; it has to be memory:, file:DIR or redis://…")
    return STORES[kind](place, ttl, workers, size)


def try_store(url: str, *, ttl: float, workers: int) -> None:
    """Check the store before anything starts. Raises SettingError for faults that the operator has to fix. A Redis
    that can't be reached is not one of them: workers wait for it."""
    store = open_store(url, ttl=ttl, workers=workers)
    getattr(store, "check", lambda: None)()
    store.close()
