"""Redis: what the contract of all stores can't say."""

from __future__ import annotations

from millstream.stores.redis import RedisStore
from tests.stores.samples import ID, OTHER, TTL, done, meta, until


def test_what_dead_workers_left_are_orphans_running_or_ended(redis_url):
    dead, living = RedisStore(redis_url, TTL), RedisStore(redis_url, TTL)
    dead.start(lambda *_: None)
    living.start(lambda *_: None)
    try:
        dead.create(meta(dead))
        dead.create(meta(dead, OTHER))
        dead.append(OTHER, [done(1)])
        living.create(meta(living, "c" * 22))
        assert living.orphans() == dead.orphans() == []
        dead.close()
        until(living.orphans)
        assert set(living.orphans()) == {ID, OTHER}
        living.delete(OTHER)
        assert living.orphans() == [ID]
    finally:
        living.close()
