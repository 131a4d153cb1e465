"""Workers that share streams through Redis: what the contract of all stores can't say. Without Redis:
test_redis_away.py."""

from __future__ import annotations

import gc
import signal
import socket
import time
from contextlib import ExitStack
from unittest.mock import Mock
from warnings import catch_warnings, simplefilter

import gevent
import psutil
import pytest
from gevent.event import AsyncResult, Event
from redis import Redis

from millstream.errors import NotFound, Unavailable
from millstream.stores import StoreLost
from millstream.stores.redis import RedisStore
from millstream.stores.redis.address import Address
from millstream.stores.redis.link import Link
from millstream.stores.redis.owners import SETTLE, Owners
from millstream.stores.redis.pipe import Away, Pipe
from millstream.stores.table import open_store
from tests.stores.samples import DEADLINE, ID, OTHER, TTL, done, everything, log, message, meta, until
from tests.stores.test_doorbell import Woken, heard_of

pytestmark = pytest.mark.system


def test_what_dead_workers_left_are_orphans_running_or_ended(redis_url):
    dead, living, beginning = (RedisStore(redis_url, TTL) for _ in range(3))
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
        beginning.start(lambda *_: None)
        assert beginning.orphans() == [ID]  # it waits for its connection
    finally:
        living.close()
        beginning.close()


def after(woken, what, *arguments):
    """Waits until it was woken by this. (It may be while `what` waits for Redis.)"""
    times = woken.times
    what(*arguments)
    until(lambda: woken.times > times)


# -- news and words ---------------------------------------------------------------------------------------------


def test_a_watcher_is_woken_by_each_append_and_has_it_without_asking(shared, redis_url):
    shared.one.create(meta(shared.one))
    woken = Woken()
    reader = shared.two.reader(ID)
    shared.two.watch(ID, woken)
    woken.again()  # the subscription has begun
    after(woken, shared.one.append, ID, [message(1)])
    with Redis.from_url(redis_url) as client:
        before = client.info("commandstats").get("cmdstat_xrange", {"calls": 0})["calls"]
        for n in range(2, 200):
            shared.one.append(ID, [message(n)])
            until(lambda n=n: (read := reader.read()) and read[-1] == message(n))
        # The owner's append looks at the end alone (XREVRANGE); the readers had all they wanted in the news.
        assert client.info("commandstats")["cmdstat_xrange"]["calls"] - before <= 2
    assert reader.read() == []


def test_a_reader_that_lags_behind_the_news_misses_nothing(shared):
    shared.one.create(meta(shared.one))
    woken = Woken()
    reader = shared.two.reader(ID)
    shared.two.watch(ID, woken)
    woken.again()
    for n in range(1, 500):
        shared.one.append(ID, [message(n)])
    seen = []
    with gevent.Timeout(DEADLINE):
        while len(seen) < 499:
            seen += reader.read(1)
    assert [event.n for event in seen] == list(range(1, 500))


def test_the_owner_hears_of_the_first_watcher_and_of_the_last(shared):
    shared.one.create(meta(shared.one))
    ends = [shared.two.watch(ID, lambda: None) for _ in range(3)]
    until(lambda: shared.said == [(shared.two.worker, ID, "join")])
    for end in ends:
        end()
    until(lambda: shared.said[1:] == [(shared.two.worker, ID, "leave")])


def test_words_that_were_lost_are_made_up_for(shared, monkeypatch):
    monkeypatch.setattr("millstream.stores.redis.machines.SYNC", 1)
    publish = shared.two._neighbours._publish
    monkeypatch.setattr(
        shared.two._neighbours, "_publish", lambda to, word, ids: word == "all" and publish(to, word, ids)
    )
    shared.one.create(meta(shared.one))
    end = shared.two.watch(ID, lambda: None)
    until(lambda: shared.said == [(shared.two.worker, ID, "join")])
    end()
    until(lambda: shared.said[1:] == [(shared.two.worker, ID, "leave")])


def test_a_stop_from_another_process_comes_to_the_owner(shared, redis_process):
    worker = redis_process()
    worker.ask("create", ID)
    shared.two.tell(ID, "stop")
    assert worker.hear() == f"told {shared.two.worker} {ID} stop"


def test_an_erased_log_wakes_its_watchers(shared):
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1)])
    woken = Woken()
    shared.two.watch(ID, woken)
    woken.again()
    after(woken, shared.one.delete, ID)


def test_other_databases_of_the_same_redis_hear_nothing(shared, redis_url):
    elsewhere = open_store(redis_url.removesuffix("0") + "1", ttl=TTL, workers=2)
    elsewhere.start(lambda *_: None)
    try:
        for store in (shared.one, elsewhere):
            store.create(meta(store))
        woken = Woken()
        shared.two.watch(ID, woken)
        woken.again()
        times = woken.times
        elsewhere.append(ID, [message(1)])
        shared.one.append(ID, [message(1, "ours")])
        until(lambda: log(shared.two) == [message(1, "ours")])
        gevent.sleep(0.05)
        assert woken.times == times + 1
    finally:
        elsewhere.close()


def test_a_worker_has_three_connections_however_much_it_follows(shared, redis_url):
    ids = [f"{n:022d}" for n in range(2000)]
    woken = {id: Woken() for id in ids}
    for id in ids:
        shared.one.create(meta(shared.one, id))
        shared.two.watch(id, woken[id])
    until(lambda: all(each.times for each in woken.values()))
    for each in woken.values():
        each.times = 0
    for id in ids:
        shared.one.append(id, [message(1)])
    until(lambda: all(each.times for each in woken.values()))
    with Redis.from_url(redis_url) as client:
        assert len(client.client_list()) - 1 == 2 * 3
    assert log(shared.two, ids[7]) == [message(1)]


# -- life and death ---------------------------------------------------------------------------------------------


def test_a_killed_owner_wakes_its_watchers_within_two_seconds_and_exactly_one_seizes(shared, redis_process):
    owner, third = redis_process(), redis_process()
    owner.ask("create", ID)
    owner.ask("append", ID, 1)
    woken = Woken()
    shared.two.watch(ID, woken)
    assert owner.hear() == f"told {shared.two.worker} {ID} join"
    third.ask("watch", ID)
    owner.kill()
    killed = time.monotonic()
    assert shared.two.seize(ID) is False  # nothing is known yet
    until(lambda: shared.two._neighbours.dead(owner.name))
    assert time.monotonic() - killed < 2
    third.say("seize", ID, 20)
    tries = [gevent.spawn(store.seize, ID) for _ in range(20) for store in (shared.one, shared.two)]
    gevent.joinall(tries, raise_error=True)
    while not (heard := third.hear()).isdigit():  # the words of its watch
        pass
    if not (got := sum(each.value for each in tries) + int(heard)):
        until(lambda: shared.two.seize(ID))  # `third` did not know yet
        got = 1
    assert got == 1


def test_what_a_killed_owner_left_is_ended_by_the_one_who_seizes(shared, redis_process):
    owner = redis_process()
    owner.ask("create", ID)
    owner.ask("append", ID, 1)
    shared.two.watch(ID, lambda: None)
    owner.kill()
    until(lambda: shared.two.seize(ID))
    assert shared.two.seize(ID) is False
    shared.two.append(ID, [done(2)])
    assert log(shared.one) == [message(1), done(2)]
    assert shared.one.seize(ID) is False


def test_a_paused_owner_is_not_dead(shared, redis_process):
    owner = redis_process()
    owner.ask("create", ID)
    shared.two.watch(ID, lambda: None)
    owner.process.send_signal(signal.SIGSTOP)
    for _ in range(15):
        gevent.sleep(0.1)
        assert shared.two.seize(ID) is False
    owner.process.send_signal(signal.SIGCONT)
    while owner.ask("append", ID, 1) != "1":  # what it has been told comes first
        pass
    until(lambda: log(shared.two) == [message(1)])  # its connections may have timed out


def test_an_owner_that_is_slow_to_reconnect_is_not_dead(shared, monkeypatch):
    shared.one.create(meta(shared.one))
    shared.two.watch(ID, lambda: None)
    owners, link = shared.two._neighbours._owners, shared.one._link
    until(lambda: shared.one.worker in owners._signs)
    connect = link._connect
    monkeypatch.setattr(link, "_connect", lambda channel: (gevent.sleep(3), connect(channel)))
    link.fail("no answer in time")
    until(lambda: shared.one.away)
    while shared.one.away:
        assert shared.two.seize(ID) is False
        gevent.sleep(0.1)


def test_a_worker_that_leaves_while_it_connects_leaves_no_socket_open():
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than may wait: the next connection takes long
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        warned = stack.enter_context(catch_warnings(record=True))
        simplefilter("always")
        before = sockets()
        link = Link(Address(f"redis://127.0.0.1:{server.getsockname()[1]}/0"), lambda: None, lambda *_: None)
        link.start("words")
        until(lambda: sockets() > before)
        link.close()
        until(lambda: sockets() == before)
        gc.collect()
        assert [str(warning.message) for warning in warned] == []


def test_whatever_breaks_a_connection_ends_the_wait_of_all():
    connection, broken = Mock(), Event()
    connection.read_response.side_effect = RuntimeError
    pipe = Pipe(connection, lambda why: broken.set())
    heard = AsyncResult()
    pipe.post(("PING",), heard.set)
    assert broken.wait(DEADLINE)
    pipe.close(Away("broken"))
    assert isinstance(heard.get(timeout=DEADLINE), Away)


def sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))


def test_after_redis_was_away_those_who_are_not_back_yet_are_not_dead_yet():
    owners = Owners()
    owners.connected(0, again=True)
    looks = [at for at in range(30) if owners.look(at, [("w", False, None)])]
    assert looks[:1] == [SETTLE]


def test_orphans_are_looked_for_again_where_nobody_can_be_known_for_dead_yet(shared):
    assert shared.two.orphans() == []
    shared.two._link.fail("no answer in time")
    until(lambda: not (shared.two.away or shared.two._neighbours.settled))
    with pytest.raises(Unavailable):  # no empty list: what is known to be looked after would be forgotten
        shared.two.orphans()


def test_an_owner_that_has_just_come_back_is_not_dead_any_more(shared, redis_process):
    owner = redis_process()
    owner.ask("create", ID)
    shared.two.watch(ID, lambda: None)
    owners = shared.two._neighbours._owners
    until(lambda: owner.name in owners._signs)
    owners._signs[owner.name].beat = b"the one before"
    owners._dead = {owner.name}
    assert shared.two.seize(ID) is False


def test_what_an_owner_appends_after_it_was_taken_for_dead_is_refused(shared, redis_process, monkeypatch):
    monkeypatch.setattr("millstream.stores.redis.owners.SILENT", 1.5)
    owner = redis_process()
    owner.ask("create", ID)
    owner.ask("append", ID, 1)
    shared.two.watch(ID, lambda: None)
    assert owner.hear().endswith("join")
    owner.process.send_signal(signal.SIGSTOP)
    until(lambda: shared.two.seize(ID))
    owner.process.send_signal(signal.SIGCONT)
    assert owner.ask("append", ID, 2).startswith("StoreLost")
    shared.two.append(ID, [done(2)])
    assert log(shared.one) == [message(1), done(2)]


def test_a_killed_follower_is_a_leave_for_each_running_stream(shared, redis_process):
    worker = redis_process()
    for id in (ID, OTHER):
        shared.one.create(meta(shared.one, id))
        worker.say("watch", id)
    until(lambda: len(shared.said) == 2)
    worker.kill()
    until(lambda: len(shared.said) == 4)
    assert sorted(shared.said[2:]) == [(worker.name, ID, "leave"), (worker.name, OTHER, "leave")]


def test_of_several_processes_exactly_one_gets_each_claim(shared, redis_process):
    others = [redis_process() for _ in range(3)]
    for other in others:
        other.say("claim", 300)
    assert sum(int(other.hear()) for other in others) == 300


def test_a_watcher_in_another_process_is_woken(shared, redis_process):
    worker = redis_process()
    shared.one.create(meta(shared.one))
    worker.say("watch", ID)
    heard_of(worker, [ID])
    shared.one.append(ID, [message(1, "hello")])
    heard_of(worker, [ID])
    assert worker.ask("read", ID) == "hello"


# -- keeping and losing -----------------------------------------------------------------------------------------


def keys(redis_url):
    with Redis.from_url(redis_url) as client:
        return {key.decode(): client.pttl(key) / 1000 for key in client.keys("*:log:*") + client.keys("*:claim:*")}


def test_every_log_and_claim_expires_by_itself(shared, redis_url):
    shared.one.create(meta(shared.one, claim="key"))
    assert len(keys(redis_url)) == 2
    assert all(TTL < left <= TTL + 300 for left in keys(redis_url).values())
    with Redis.from_url(redis_url) as client:
        for key in keys(redis_url):
            client.pexpire(key, 60_000)
    shared.one.sweep(time.time())  # once a minute
    until(lambda: all(left > TTL for left in keys(redis_url).values()))
    shared.one.append(ID, [done(1)])
    assert all(0 < left <= TTL for left in keys(redis_url).values())


@pytest.mark.parametrize(("loss", "found"), [("all", "append"), ("half", "append"), ("all", "sweep")])
def test_a_running_stream_whose_log_is_lost_is_written_anew(shared, redis_url, loss, found):
    shared.one.create(meta(shared.one, claim="key"))
    whole = [message(n) for n in range(1, 4)]
    for event in whole[:2]:
        shared.one.append(ID, [event])
    reader = shared.two.reader(ID, after=1)
    shared.two.watch(ID, woken := Woken())
    lose(redis_url, loss)
    if found == "append":
        after(woken, shared.one.append, ID, whole[2:])
    else:
        after(woken, shared.one.sweep, time.time())
        shared.one.append(ID, whole[2:])
    assert everything(reader) == whole[1:]
    assert log(shared.two) == whole
    assert len(keys(redis_url)) == 2 and all(left > TTL for left in keys(redis_url).values())


@pytest.mark.parametrize("loss", ["all", "half"])
def test_what_its_owner_can_not_write_anew_is_lost_for_everybody(shared, redis_url, monkeypatch, loss):
    monkeypatch.setattr("millstream.stores.redis.log.KEPT", 10)
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1)])
    shared.one.append(ID, [message(2)])
    reader = shared.two.reader(ID)
    shared.two.watch(ID, woken := Woken())
    lose(redis_url, loss)
    with pytest.raises(StoreLost, match="Redis has lost it"):
        after(woken, shared.one.append, ID, [message(3)])
    until(lambda: keys(redis_url) == {})
    with pytest.raises(NotFound):
        everything(reader)


def test_an_erased_stream_is_not_written_anew(shared, redis_url):
    shared.one.create(meta(shared.one))
    shared.one.append(ID, [message(1)])
    shared.two.delete(ID)
    shared.one.sweep(time.time())
    with pytest.raises(StoreLost):
        shared.one.append(ID, [done(2)])
    assert keys(redis_url) == {}


def lose(redis_url, loss):
    with Redis.from_url(redis_url) as client:
        (key,) = client.keys("*:log:*")
        kept = client.xrange(key, count=2)
        client.delete(key)
        for id, fields in kept if loss == "half" else []:  # as after a restart with an older snapshot
            client.xadd(key, fields, id)
