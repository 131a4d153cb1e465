"""Counters and leases in Redis: for workers on several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from gevent.lock import Semaphore
from redis import Redis, RedisError

from millstream.limits.storage import Places, StorageDown
from millstream.stores.redis.address import Address

T = TypeVar("T")

PREFIX = "millstream:limits:"
CONNECTIONS = 4  # beside the three of the store
PAUSE = 1.0  # s after a failure in which jobs fail at once

# The time is Redis's own: the machines' clocks may differ.
NOW = "local time = redis.call('TIME') local now = time[1] + time[2] / 1000000 "
# KEYS: the counter. ARGV: the amount, s.
INCR = """
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return value
"""
# KEYS: a sorted set for each name, ids by the time they end. ARGV: the id; of each name the places, and s.
LEASE = f"""{NOW}
for i, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    if redis.call('ZCARD', key) >= tonumber(ARGV[2 * i]) then return i end
end
for i, key in ipairs(KEYS) do
    redis.call('ZADD', key, now + ARGV[2 * i + 1], ARGV[1])
    redis.call('EXPIRE', key, math.ceil(ARGV[2 * i + 1]))
end
return 0
"""
# KEYS: one sorted set. Gives the number of ids, and the seconds until the first one ends.
TAKEN = f"""{NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {{redis.call('ZCARD', KEYS[1]), tostring(first and first - now)}}
"""
# KEYS: one sorted set. ARGV: s, the ids.
RENEW = f"""{NOW}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[1]))
"""


class RedisStorage:
    """Connects at the first job. With gevent's patch a job's waits let the event loop go on.

    Each answer of Redis has a timeout. Jobs that wait for a connection fail together with those that have one. So
    nobody waits longer for a Redis that does not answer, and nobody fails because others are before it.
    """

    def __init__(self, url: str) -> None:
        """Connect to the storage. Raises SettingError."""
        self._redis = Redis(connection_pool=Address(url).pool(CONNECTIONS))
        self._incr, self._lease, self._taken, self._renew = map(
            self._redis.register_script, (INCR, LEASE, TAKEN, RENEW)
        )
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
        """Do nothing: each call is atomic, but several calls together are not."""
        yield

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return int(self._incr([PREFIX + key], [amount, expiry]))

    def get(self, key: str) -> int:
        return int(self._redis.get(PREFIX + key) or 0)  # type: ignore[arg-type]

    def lease(self, id: str, names: Mapping[str, Places]) -> str | None:
        numbers = [number for places in names.values() for number in places]
        full = self._lease([PREFIX + name for name in names], [id, *numbers])
        return list(names)[full - 1] if full else None

    def taken(self, name: str, seconds: float) -> tuple[int, float]:
        count, left = self._taken([PREFIX + name])
        return count, float(left) if count else seconds

    def renew(self, ids: Mapping[str, Sequence[str]], seconds: float) -> None:
        for name, held in ids.items():
            for start in range(0, len(held), 1000):
                self._renew([PREFIX + name], [seconds, *held[start : start + 1000]])

    def end(self, ids: Mapping[str, Sequence[str]]) -> None:
        for name, held in ids.items():
            for start in range(0, len(held), 1000):
                self._redis.zrem(PREFIX + name, *held[start : start + 1000])

    def sweep(self) -> None:
        """Redis does it by itself."""

    def close(self) -> None:
        self._redis.connection_pool.disconnect()
