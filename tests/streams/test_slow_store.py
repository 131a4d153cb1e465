"""A store over a network: logging takes a moment, and now and then it is away."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event as Signal

from millstream.errors import Unavailable
from millstream.settings import Settings
from millstream.stores import StoreLost
from millstream.stores.memory import MemoryStore
from millstream.streams import Streams
from tests.streams.fakes import WAIT, Led, batches, call


class Slow(MemoryStore):
    """Logs a batch at once, but says so only when `answered` is set; `gone` is a log that was erased meanwhile."""

    away = False

    def __init__(self):
        super().__init__(600)
        self.asked, self.answered, self.gone = Signal(), Signal(), False
        self.answered.set()

    def append(self, id, batch, then=None):
        if self.gone:
            then(StoreLost("on purpose"))
            return
        position = super().append(id, batch)
        self.asked.set()
        if self.answered.is_set():
            then(position)
        else:
            gevent.spawn(lambda: self.answered.wait(WAIT) and then(position))

    def reader(self, id, after=0):
        reader = super().reader(id, after)
        read = reader.read

        class Away:
            seek, close = reader.seek, reader.close

            def read(_, limit=65536):
                if self.away:
                    raise Unavailable("store_unavailable", "on purpose")
                return read(limit) if self.answered.is_set() else []  # what is being logged is not there yet

        return Away()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def running(slow, rows):
    """Streams on it, with one that has begun and its follower."""
    streams = Streams(slow, Settings(), rows)
    streams.open()
    upstream = Led()
    meta = streams.start(call(grace=0), upstream)
    follower = streams.follow(meta)
    yield streams, upstream, meta, follower
    slow.answered.set()
    for live in list(streams.live.values()):
        live.stop()
    streams.close()


def in_log(streams, meta):
    reader = streams._store.reader(meta.id)
    return [(event.n, event.text or event.type) for event in reader.read()]


def logging(slow, upstream, text="in between"):
    """A batch is being logged."""
    slow.answered.clear()
    slow.asked.clear()
    upstream.say(text)
    assert slow.asked.wait(WAIT)


def seen(follower):
    with gevent.Timeout(WAIT):
        return [(event.n, event.text or event.type) for batch in batches(follower) for event in batch]


def test_a_stop_while_a_batch_is_being_logged_comes_behind_it(slow, running):
    streams, upstream, meta, follower = running
    logging(slow, upstream)
    stop = gevent.spawn(streams.stop, meta)
    gevent.sleep(0.01)
    slow.answered.set()
    stop.join(WAIT)
    assert seen(follower) == in_log(streams, meta) == [(1, "in between"), (2, "done")]


def test_who_follows_while_a_whole_answer_is_being_logged_gets_all_of_it(slow, running):
    streams, upstream, meta, _ = running
    slow.answered.clear()
    upstream.finish_with("all of ", "it")
    assert slow.asked.wait(WAIT)
    late = streams.follow(meta)
    assert late.take(0) == []
    slow.answered.set()
    assert seen(late) == [(1, "all of "), (2, "it"), (3, "done")]


def test_two_who_end_it_at_once_end_it_once(slow, running, rows):
    streams, upstream, meta, follower = running
    logging(slow, upstream)
    stops = [gevent.spawn(streams.stop, meta) for _ in range(3)]
    upstream.finish()
    gevent.sleep(0.01)
    slow.answered.set()
    gevent.joinall(stops, timeout=WAIT)
    assert seen(follower) == in_log(streams, meta) == [(1, "in between"), (2, "done")]
    assert len(rows) == 1


def test_a_pump_killed_while_a_batch_is_being_logged_leaves_no_number_twice(slow, running):
    streams, upstream, meta, follower = running
    logging(slow, upstream)
    follower.leave()
    assert upstream.closed.wait(WAIT)
    slow.answered.set()
    with gevent.Timeout(WAIT):
        while streams.live:
            gevent.sleep(0.01)
    assert in_log(streams, meta) == [(1, "in between"), (2, "failed")]


def test_an_end_that_could_not_be_logged_with_the_text_before_it_is_no_good_end(slow, running, caplog):
    _, upstream, _, follower = running
    upstream.say("first")
    assert follower.take(WAIT)[0].n == 1
    slow.gone = True
    upstream.finish_with("last")
    (end,) = follower.take(WAIT)
    assert (end.n, end.type, end.end.failure.code) == (2, "failed", "lost")


def test_a_follower_that_lags_waits_for_the_store_and_misses_nothing(slow, running):
    streams, upstream, meta, early = running
    upstream.say("before")
    assert early.take(WAIT)[0].n == 1
    late = streams.follow(meta)
    slow.away = True
    assert late.take(0) == []
    upstream.say("meanwhile")
    upstream.finish()
    assert late.take(0.01) == []
    slow.away = False
    assert seen(late) == [(1, "before"), (2, "meanwhile"), (3, "done")]


def test_nothing_is_started_while_the_store_is_away(slow, running):
    streams, upstream, _, _ = running
    slow.away = True
    with pytest.raises(Unavailable) as refused:
        streams.start(call(), upstream)
    assert (refused.value.code, refused.value.headers) == ("store_unavailable", {"Retry-After": "2"})
    assert streams.trouble() == "store_unavailable"


def test_who_has_seen_more_than_is_logged_waits_for_it_a_moment(slow, running):
    streams, upstream, meta, _ = running
    slow.belated = WAIT
    logging(slow, upstream)
    reaching = [gevent.spawn(streams.reach, meta.id, **far) for far in ({"after": 1}, {"offset": 10})]
    gevent.sleep(0.1)
    assert not any(greenlet.dead for greenlet in reaching)
    slow.answered.set()
    gevent.joinall(reaching, timeout=WAIT, raise_error=True)
    assert all(greenlet.successful() for greenlet in reaching)
    slow.belated = 0.1
    streams.reach(meta.id, after=1000)


def test_who_comes_back_while_the_last_batch_is_being_logged_gets_it_and_the_end(slow, running):
    streams, upstream, meta, follower = running
    logging(slow, upstream)
    follower.leave()  # abandoned: the pump that waits for the log is stopped, and pushes to nobody
    late = streams.follow(meta)
    assert late.take(0) == []
    slow.answered.set()
    assert seen(late) == [(1, "in between"), (2, "failed")]
