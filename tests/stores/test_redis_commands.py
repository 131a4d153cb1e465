"""Redis 6 is enough: nothing that is sent needs a newer one. (The contracts run with 6.2: there is a wheel.)"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from millstream.limits.storage import Places
from millstream.limits.table import open_storage
from millstream.stores.table import open_store
from tests.stores.conftest import Workers
from tests.stores.samples import ID, OTHER, TTL, done, log, message, meta, until

pytestmark = pytest.mark.system

OLDEST = (6, 0, 0)
OVER = "that was all"


def use_a_store(url: str) -> None:
    workers = Workers([open_store(url, ttl=TTL, workers=2) for _ in range(2)])
    one, two = workers.one, workers.two
    one.create(meta(one, claim="key"))
    end = two.watch(ID, lambda: None)
    one.append(ID, [message(1)])
    assert log(two) == [message(1)]
    two.tell(ID, "stop")
    until(lambda: (two.worker, ID, "stop") in workers.said)
    end()
    one.append(ID, [done(2)])
    one.release(ID)
    with pytest.raises(Exception, match="no such stream"):
        two.meta(OTHER)
    two.create(meta(two, OTHER))
    assert two.sweep(time.time() + 10 * TTL) == 1
    two.close()
    until(lambda: one.orphans() == [OTHER])
    assert one.seize(OTHER)
    one.delete(OTHER)
    workers.close()


def use_limits(url: str) -> None:
    storage = open_storage(url)
    assert storage.lease("1", {"a": Places(1, 60)}) is None
    assert storage.taken("a", 60)[0] == 1
    storage.renew({"a": ["1"]}, 60)
    storage.end({"a": ["1"]})
    assert storage.incr("b", 60) == storage.get("b") == 1
    storage.close()


@pytest.mark.parametrize("use", [use_a_store, use_limits])
def test_no_command_and_no_option_is_newer_than_redis_6(redis_url, use):
    with Redis.from_url(redis_url, driver_info=None) as client:
        known = {name: (since, newer) for name, since, newer in commands(client.execute_command("COMMAND DOCS"))}
        with client.monitor() as heard:
            use(redis_url)
            client.echo(OVER)
            sent = list(iter(lambda: heard.next_command()["command"], f"ECHO {OVER}"))
    seen = set()
    for words in (command.split(" ") for command in sent):
        both = "|".join(words[:2]).lower()
        name = both if both in known else words[0].lower()
        since, newer = known[name]
        assert since <= OLDEST, f"{name} is there since {since}"
        assert not newer & {word.upper() for word in words[1:]}, f"{words} needs a newer Redis"
        seen.add(name)
    assert {"evalsha", "script|load"} <= seen
    assert len(seen) > 8, seen  # those in scripts, too


def commands(docs: list[Any]) -> Iterator[tuple[str, tuple[int, ...], set[str]]]:
    """https://redis.io/docs/latest/commands/command-docs/: names, since when they are there, and newer options."""
    for name, facts in zip(docs[::2], docs[1::2], strict=True):
        about = dict(zip(facts[::2], facts[1::2], strict=True))
        yield name.decode(), version(about), set(newer(about.get(b"arguments", []), OLDEST))
        yield from commands(about.get(b"subcommands", []))


def newer(arguments: list[Any], since: tuple[int, ...]) -> Iterator[str]:
    for argument in arguments:
        about = dict(zip(argument[::2], argument[1::2], strict=True))
        own = version(about) if b"since" in about else since
        if own > OLDEST and b"token" in about:
            yield about[b"token"].decode().upper()
        yield from newer(about.get(b"arguments", []), own)


def version(about: dict[bytes, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in about[b"since"].decode().split("."))
