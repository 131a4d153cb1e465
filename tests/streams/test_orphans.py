"""What a worker leaves behind that is killed: each of its streams is told of once, by whoever comes next."""

from __future__ import annotations

from decimal import Decimal

import gevent
import pytest

from millstream.errors import Unavailable
from millstream.events import Usage
from millstream.settings import Price, Settings
from millstream.stores.table import open_store
from millstream.streams import Streams
from tests.streams.fakes import WAIT, Led, Rows, call
from tests.streams.test_streams import ended
from tests.streams.test_workers import die

PRICES = (Price("m", Decimal(1), Decimal(2)),)


@pytest.fixture
def worker(tmp_path):
    """Makes workers on one store; each has a list of its own for what it tells, and one for what others missed."""
    made = []

    def worker() -> Streams:
        rows, missed = Rows(), Rows()
        store = open_store(f"file:{tmp_path}", ttl=600, workers=2)
        streams = Streams(store, Settings(prices=PRICES), rows, missed=missed)
        streams.open()
        streams.rows, streams.missed = rows, missed
        made.append(streams)
        return streams

    yield worker
    for one in made:
        one.close()


def until(true) -> None:
    with gevent.Timeout(WAIT):
        while not true():
            gevent.sleep(0.005)


def said(streams: Streams, *texts: str, upstream: Led):
    """A stream that has come so far."""
    meta = streams.start(call(), upstream)
    follower = streams.follow(meta)
    upstream.say(*texts)
    assert "".join(event.text for event in follower.take(WAIT)) == "".join(texts)
    return meta, follower


def test_a_stream_that_nobody_follows_is_ended_when_the_next_worker_starts(worker):
    one = worker()
    meta, _ = said(one, "some ", "words", upstream=Led())
    die(one)
    two = worker()
    until(lambda: two.rows)
    (row,) = two.rows
    assert (row.id, row.reason, row.caller, row.upstream) == (meta.id, "interrupted", "me", "led")
    assert row.usage == Usage(meta.prompt, 2, "estimated")
    assert meta.prompt > 0
    assert (row.cost, row.currency) == ("0.000009", "USD")
    assert two.history(meta.id).terminal.end.failure.code == "interrupted"
    assert (one.rows, two.missed) == ([], [])


def test_what_had_ended_is_told_again_as_it_was(worker):
    one, upstream = worker(), Led()
    _, follower = said(one, "words", upstream=upstream)
    upstream.finish()
    ended(follower)
    die(one)
    two = worker()
    until(lambda: two.missed)
    assert len(one.rows) == 1
    assert [row.id for row in two.missed] == [row.id for row in one.rows]
    assert two.missed[0].first_token == one.rows[0].first_token > 0
    assert two.missed[0].duration == one.rows[0].duration > 0
    assert (
        (two.missed[0].usage, two.missed[0].cost)
        == (one.rows[0].usage, one.rows[0].cost)
        == (Usage(1, 2), "0.000005")
    )
    assert two.rows == []


def test_what_a_living_worker_has_is_left_alone(worker):
    one = worker()
    said(one, "words", upstream=Led())
    two = worker()
    two._orphans.recover()
    assert (two.rows, two.missed, len(one.live)) == ([], [], 1)


def test_looking_again_tells_nothing_again(worker):
    one = worker()
    said(one, "words", upstream=Led())
    die(one)
    two = worker()
    until(lambda: two.rows)
    two._orphans.recover()
    two._orphans.recover()
    assert (len(two.rows), two.missed) == (1, [])


def test_of_several_workers_that_start_at_once_one_tells(worker):
    one = worker()
    ids = {said(one, "words", upstream=Led())[0].id for _ in range(20)}
    die(one)
    others = [worker() for _ in range(3)]
    for other in others:
        other._orphans.recover()
    told = [row.id for other in others for row in other.rows]
    assert (len(told), set(told)) == (20, ids)


def test_a_dead_workers_stream_that_is_erased_is_told_of_first(worker):
    two, one = worker(), worker()
    meta, _ = said(one, "words", upstream=Led())
    die(one)
    two.delete(meta)
    assert [(row.id, row.reason) for row in two.rows] == [(meta.id, "interrupted")]


def test_a_stream_that_is_erased_elsewhere_while_it_runs_keeps_its_tokens(worker):
    one, two = worker(), worker()
    meta, _ = said(one, "three ", "more ", "words", upstream=Led())
    two.delete(meta)
    until(lambda: one.rows)
    assert (one.rows[0].reason, one.rows[0].usage) == ("cancelled", Usage(meta.prompt, 3, "estimated"))


def test_where_the_store_goes_away_meanwhile_the_next_look_is_soon(worker, monkeypatch, caplog):
    monkeypatch.setattr("millstream.streams.AGAIN", 0.01)
    one = worker()
    ids = {said(one, "words", upstream=Led())[0].id for _ in range(3)}
    die(one)
    two = worker()  # it looks as soon as we wait
    meta, away = two._store.meta, []

    def unavailable(id):
        if len(two.rows) == 1 and not away:
            away.append(id)
            raise Unavailable("store_unavailable", "on purpose")
        return meta(id)

    monkeypatch.setattr(two._store, "meta", unavailable)
    until(lambda: len(two.rows) == 3)
    assert {row.id for row in two.rows} == ids
    assert away and caplog.text == ""
