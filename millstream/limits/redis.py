"""Redis as the `limits` library uses it, and leases in sorted sets: for workers on several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from gevent.lock import Semaphore
from limits.storage import RedisStorage as Base
from redis import RedisError

from millstream.limits.storage import StorageDown
from millstream.stores.redis.address import Address

T = TypeVar("T")

CONNECTIONS = 4  # beside the three of the store
PAUSE = 1.0  # s after a failure in which jobs fail at once

# The time is Redis's own: the machines' clocks may differ.
NOW = "local time = redis.call('TIME') local now = time[1] + time[2] / 1000000 "
# KEYS: a sorted set for each name, ids by the time they end. ARGV: the id, s, the places of each name.
LEASE = f"""{NOW}
for i, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    if redis.call('ZCARD', key) >= tonumber(ARGV[2 + i]) then return i end
end
for _, key in ipairs(KEYS) do
    redis.call('ZADD', key, now + ARGV[2], ARGV[1])
    redis.call('EXPIRE', key, math.ceil(ARGV[2]))
end
return 0
"""
# KEYS: one sorted set. ARGV: s, the ids.
RENEW = f"""{NOW}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[1]))
"""


class RedisStorage(Base):
    """Connects at the first job. With gevent's patch a job's waits let the event loop go on.

    Each answer of Redis has a timeout. Jobs that wait for a connection fail together with those that have one. So
    nobody waits longer for a Redis that does not answer, and nobody fails because others are before it.
    """

    STORAGE_SCHEME: list[str] | None = None  # type: ignore[assignment]

    def __init__(self, url: str) -> None:
        """Raises SettingError."""
        pool = Address(url).pool(CONNECTIONS)
        super().__init__(url, connection_pool=pool, key_prefix="millstream:limits")
        self._lease = self.storage.register_script(LEASE)
        self._renew = self.storage.register_script(RENEW)
        self._places = Semaphore(CONNECTIONS)  # a job has one connection at a time
        self._down_until = 0.0
        self._trouble = ""

    def run(self, job: Callable[[], T]) -> T:
        self._check()
        with self._places:
            self._check()
            try:
                return job()
            except RedisError as error:
                self._down_until = monotonic() + PAUSE
                self._trouble = f"Redis: {type(error).__name__}"  # its text may hold the address with a password
                raise StorageDown(self._trouble) from error

    def _check(self) -> None:
        if monotonic() < self._down_until:
            raise StorageDown(self._trouble)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Each call is atomic by itself; several together are not."""
        yield

    def lease(self, id: str, most: Mapping[str, int], seconds: float) -> str | None:
        names = list(most)
        full = self._lease([self.prefixed_key(name) for name in names], [id, seconds, *most.values()])
        return names[full - 1] if full else None

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        for name, held in ids.items():
            for start in range(0, len(held), 1000):
                self._renew([self.prefixed_key(name)], [seconds, *held[start : start + 1000]])

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        for name, held in ids.items():
            for start in range(0, len(held), 1000):
                self.storage.zrem(self.prefixed_key(name), *held[start : start + 1000])

    def sweep(self) -> None:
        """Redis does it by itself."""

    def close(self) -> None:
        self.storage.connection_pool.disconnect()
