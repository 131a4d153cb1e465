"""What the Redis store promises while Redis is frozen, killed, full or empty."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import gevent
import pytest
from redis import Redis

from millstream.errors import NotFound, Unavailable
from millstream.stores import StoreLost
from millstream.stores.redis.address import LIMIT
from millstream.stores.redis.link import RETRY
from millstream.stores.redis.pipe import COMMANDS
from millstream.stores.table import open_store
from tests.stores.conftest import Workers
from tests.stores.samples import ID, OTHER, TTL, done, everything, log, message, meta, until
from tests.stores.test_doorbell import Woken
from tests.stores.test_redis import after
from tests.system.redis_server import RedisServer

pytestmark = pytest.mark.system

PROMISED = 20.0  # s for which nothing blocks longer: ten times what a machine of its own would need


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that keeps what it has acknowledged."""
    with RedisServer(aof=True) as server:
        yield server


@pytest.fixture
def shared(server) -> Iterator[Workers]:
    with Redis.from_url(server.url) as client:
        client.flushall()
    made = Workers([open_store(server.url, ttl=TTL, workers=2) for _ in range(2)])
    until(lambda: not (made.one.away or made.two.away))
    yield made
    server.thaw()
    made.close()


def freeze(server):
    server.freeze()
    return server.thaw


def kill(server):
    server.kill()
    return server.start


def ended(store):
    """Whether the stream's end can be read; the store may just be noticing that Redis went and came."""
    try:
        return log(store)[-1:] and log(store)[-1].type == "done"
    except Unavailable:
        return False


class Stopwatch:
    """The longest of what it has timed, and whether the other greenlets ran meanwhile."""

    def __init__(self):
        self.longest = 0.0

    def __call__(self, what, *arguments):
        began = time.monotonic()
        try:
            return what(*arguments)
        except Unavailable as error:
            return error
        finally:
            self.longest = max(self.longest, time.monotonic() - began)


@pytest.mark.parametrize("trouble", [freeze, kill])
def test_what_is_appended_while_redis_is_away_is_written_once_and_in_order_when_it_is_back(shared, server, trouble):
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1), message(2)])
    local = shared.one.reader(ID)
    assert everything(local) == [message(1), message(2)]
    timed = Stopwatch()
    mend = trouble(server)
    for n in range(3, 300):
        position = timed(shared.one.append, ID, [message(n)])
    assert shared.one.away
    assert [event.n for event in everything(local)] == list(range(3, 300))  # for those who follow here
    late = shared.one.reader(ID, after=250)
    late.seek(position - 10)
    assert [event.n for event in everything(late)] == list(range(position - 9, 300))
    assert timed.longest < PROMISED
    mend()
    until(lambda: not shared.one.away)
    shared.one.append(ID, [done(300)])
    until(lambda: ended(shared.two))
    whole = [*(message(n) for n in range(1, 300)), done(300)]
    assert log(shared.two) == log(shared.one) == whole


@pytest.mark.parametrize("trouble", [freeze, kill])
def test_what_ended_while_redis_was_away_is_whole_later(shared, server, trouble):
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1)])
    mend = trouble(server)
    shared.one.append(ID, [message(2)])
    shared.one.append(ID, [done(3)])
    with pytest.raises(StoreLost):
        shared.one.append(ID, [message(4)])
    assert log(shared.one, after=1) == [message(2), done(3)]
    mend()
    until(lambda: ended(shared.two))
    assert log(shared.two) == [message(1), message(2), done(3)]
    until(lambda: shared.one._writer.logs == {})


@pytest.mark.parametrize("trouble", [freeze, kill])
def test_what_needs_redis_says_so_in_time_and_then_at_once(shared, server, trouble):
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1)])
    asks = [
        lambda: shared.two.create(meta(shared.two, OTHER)),
        lambda: shared.two.meta(ID),
        lambda: shared.two.reader(ID),
        lambda: shared.two.watch(ID, lambda: None),
        lambda: shared.two.tell(ID, "stop"),
        lambda: shared.two.delete(ID),
        reader_of(shared.two).read,
        reader_of(shared.one).read,
    ]
    trouble(server)
    timed = Stopwatch()
    together = [gevent.spawn(timed, ask) for ask in asks]
    gevent.joinall(together, raise_error=True)
    answers = [greenlet.value for greenlet in together]
    assert [getattr(answer, "code", answer) for answer in answers] == ["store_unavailable"] * len(asks)
    assert timed.longest < PROMISED
    again = time.monotonic()
    assert all(timed(ask).headers == {"Retry-After": "2"} for ask in asks)
    assert time.monotonic() - again < len(asks) * LIMIT / 2
    assert shared.two.seize(ID) is False
    assert shared.two.sweep(time.time()) == 0
    with pytest.raises(Unavailable):
        shared.two.orphans()
    shared.one.release(ID)
    server.thaw()
    if trouble is kill:
        server.start()


def reader_of(store):
    return store.reader(ID)


def test_other_greenlets_run_while_redis_is_asked(shared, server):
    server.freeze()
    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.01)) for _ in range(1000)])
    with pytest.raises(Unavailable):
        shared.one.create(meta(shared.one))
    assert len(ticks) > 5
    ticking.kill()


@pytest.mark.parametrize("trouble", [freeze, kill])
def test_a_stream_that_was_refused_is_not_made_after_all(shared, server, trouble):
    mend = trouble(server)
    with pytest.raises(Unavailable):
        shared.one.create(meta(shared.one, claim="key"))
    mend()
    until(lambda: not (shared.one.away or shared.two.away))
    mine = meta(shared.two, OTHER, claim="key")
    until(lambda: shared.one._writer._later == {})
    assert shared.two.create(mine) is mine
    with suppress(NotFound):  # Redis had not even heard of it
        assert log(shared.two)[0].end.failure.code == "store_unavailable"


def test_who_found_a_stream_that_had_been_refused_is_told_and_asks_again(shared):
    refused = meta(shared.one, claim="key")
    shared.one.create(refused)  # as if the answer were lost
    del shared.one._writer.logs[ID]
    assert shared.two.create(meta(shared.two, OTHER, claim="key")).id == ID
    for _ in range(2):  # it may be done twice
        shared.one._writer.undo(refused)
        until(lambda: shared.one._writer._later == {})
        (end,) = log(shared.two)
        assert (end.n, end.type) == (1, "failed")
        assert (end.end.failure.code, end.end.failure.retry_after) == ("store_unavailable", "2")
    mine = meta(shared.two, OTHER, claim="key")
    assert shared.two.create(mine) is mine


@pytest.mark.parametrize("trouble", [freeze, kill])
def test_nobody_is_taken_for_dead_because_redis_was_away(shared, server, trouble):
    shared.one.create(meta(shared.one))
    woken = Woken()
    shared.two.watch(ID, woken)
    woken.again()
    mend = trouble(server)
    until(lambda: shared.one.away and shared.two.away)
    mend()
    until(lambda: not shared.two.away)
    for _ in range(30):
        assert shared.two.seize(ID) is False
        gevent.sleep(0.05)
    until(lambda: not shared.one.away)
    after(woken, shared.one.append, ID, [message(1)])
    assert log(shared.two) == [message(1)]
    assert shared.said[0] == (shared.two.worker, ID, "join")


def test_a_claim_freed_while_redis_was_away_is_free_when_it_is_back(shared, server):
    shared.one.create(meta(shared.one, claim="key"))
    server.freeze()
    until(lambda: shared.one.away)
    shared.one.release(ID)
    server.thaw()
    until(lambda: not shared.two.away and shared.one._writer._later == {})
    mine = meta(shared.two, OTHER, claim="key")
    assert shared.two.create(mine) is mine


def test_what_runs_is_written_anew_where_redis_comes_back_empty(shared, server, monkeypatch):
    monkeypatch.setattr("millstream.stores.redis.SETTLE", 3600)
    shared.one.create(meta(shared.one, claim="key"))
    for n in (1, 2):
        shared.one.append(ID, [message(n)])
    shared.one.create(meta(shared.one, OTHER))
    shared.one.append(OTHER, [done(1)])
    shared.two.watch(ID, lambda: None)
    reader, later = shared.two.reader(ID, after=1), shared.two.reader(ID, after=2)
    with Redis.from_url(server.url) as client:
        client.flushall()
    server.kill()
    until(lambda: shared.one.away)
    shared.one.append(ID, [message(3)])
    server.start()
    for absent in (lambda: shared.two.meta(OTHER), lambda: shared.two.create(meta(shared.two, OTHER, claim="new"))):
        until(lambda: not shared.two.away)
        with pytest.raises(Unavailable):  # its owner may not be back yet
            absent()
    read = []
    until(lambda: add(read, reader) == 2)
    assert read == [message(2), message(3)] and everything(later) == [message(3)]
    shared.one.append(ID, [done(4)])
    assert log(shared.two) == log(shared.one) == [*map(message, (1, 2, 3)), done(4)]
    monkeypatch.setattr("millstream.stores.redis.SETTLE", 0)
    assert shared.two.create(meta(shared.two, OTHER, claim="key")).id == ID
    for store in (shared.one, shared.two):
        with pytest.raises(NotFound):
            store.meta(OTHER)


def add(read, reader):
    """Reads on where it can now. Gives how much there is."""
    with suppress(Unavailable):
        read += reader.read()
    return len(read)


@pytest.mark.parametrize("refusing", [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")])
def test_a_redis_that_takes_no_writes_is_away(shared, server, refusing):
    name, bad, good = refusing
    shared.one.create(meta(shared.one))
    with Redis.from_url(server.url) as client:
        client.config_set(name, bad)
        try:
            shared.one.append(ID, [message(1)])
            assert shared.one.away
            assert log(shared.one) == [message(1)]
            with pytest.raises(Unavailable):
                shared.one.create(meta(shared.one, OTHER))
        finally:
            client.config_set(name, good)
    until(lambda: not (shared.one.away or shared.two.away))
    until(lambda: log(shared.two) == [message(1)])


def test_a_worker_that_was_busy_does_not_take_redis_for_away(shared, caplog):
    until(lambda: shared.one._link.up)
    creating = gevent.spawn(shared.one.create, meta(shared.one))
    gevent.spawn(time.sleep, 3 * LIMIT)  # no other greenlet runs meanwhile
    creating.get()
    gevent.sleep(2 * RETRY)
    assert "is away" not in caplog.text


def test_a_worker_that_stays_busy_does_not_either(shared, caplog):
    """Between two looks at its sockets it works for long, and what is asked needs several pipelines."""
    until(lambda: shared.one._link.up)
    asked = [gevent.spawn(shared.one._link.call, "PING") for _ in range(3 * COMMANDS)]
    working = gevent.spawn(lambda: [gevent.sleep(time.sleep(0.6 * LIMIT) or 0) for _ in range(6)])
    assert {greenlet.get() for greenlet in asked} == {b"PONG"}
    working.kill()
    assert "is away" not in caplog.text


def test_it_says_once_that_redis_is_away_and_once_that_it_is_back(shared, server, caplog):
    server.freeze()
    until(lambda: shared.one.away)
    gevent.sleep(3 * RETRY)
    server.thaw()
    until(lambda: "is back" in caplog.text)
    away = [record.message for record in caplog.records if "is away" in record.message]
    assert 1 <= len(away) <= 2  # each of the two workers
    assert server.url.removeprefix("redis://") in away[0]


def test_a_worker_starts_without_redis_and_goes_on_when_it_comes(server):
    server.kill()
    store = open_store(server.url, ttl=TTL, workers=2)
    began = time.monotonic()
    store.start(lambda *_: None)
    with pytest.raises(Unavailable):
        store.create(meta(store))
    assert time.monotonic() - began < PROMISED
    server.start()
    until(lambda: not store.away)
    mine = meta(store, OTHER)
    assert store.create(mine) is mine
    store.close()
