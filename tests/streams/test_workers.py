"""Two workers on one file store: each is a Streams of its own, in one process."""

from __future__ import annotations

import gevent
import pytest

from tests.streams.fakes import WAIT, Led, batches, call
from tests.streams.test_streams import ended, texts


@pytest.fixture
def two(make_streams, tmp_path):
    return make_streams(f"file:{tmp_path}"), make_streams(f"file:{tmp_path}")


def test_a_stream_is_followed_on_another_worker(two, upstream):
    owner, other = two
    meta = owner.start(call(), upstream)
    follower = other.follow(other.meta(meta.id, "me"))
    upstream.say("across ")
    assert follower.take(WAIT)[0].text == "across "
    upstream.say("workers")
    upstream.finish()
    assert texts(follower) == "workers"


def test_a_stream_is_stopped_from_another_worker(two, upstream):
    owner, other = two
    meta = owner.start(call(), upstream)
    follower = other.follow(meta)
    upstream.say("x")
    follower.take(WAIT)
    other.stop(meta)
    assert ended(follower).end.finish_reason == "cancelled"
    assert upstream.closed.wait(WAIT)


def test_a_stop_that_was_lost_is_said_again(two, upstream, monkeypatch):
    monkeypatch.setattr("millstream.stores.neighbours.AGAIN", (0.05, 0.05))
    owner, other = two
    follower = other.follow(owner.start(call(), upstream))
    upstream.say("x")
    follower.take(WAIT)
    bell, lost = owner._store._bell, []
    heard = bell._heard
    bell._heard = lambda said: heard(said) if lost or not said.startswith(b"stop") else lost.append(said)
    other.stop(follower.meta)
    assert (ended(follower).end.finish_reason, len(lost)) == ("cancelled", 1)


@pytest.mark.parametrize("stopped", [False, True])
def test_what_another_worker_says_of_a_stream_that_is_just_being_admitted_counts(two, upstream, stopped):
    owner, other = two
    there = []

    def admit(id):
        if stopped:
            other.stop(other.meta(id, "me"))
        there.append(other.follow(other.meta(id, "me")))
        with gevent.Timeout(WAIT):
            while not owner._store._followers.of(id):  # the stop was said before
                gevent.sleep(0.001)

    here = owner.follow(owner.start(call(grace=0), upstream, claim="mine", admit=admit))
    here.leave()
    if not stopped:
        upstream.finish_with("x")
    assert ended(there[0]).end.finish_reason == ("cancelled" if stopped else "stop")


def test_a_follower_elsewhere_counts_as_somebody_who_listens(two):
    owner, other = two
    upstream = Led()
    meta = owner.start(call(grace=0), upstream)
    here, there = owner.follow(meta), other.follow(meta)
    upstream.say("x")
    there.take(WAIT)
    here.leave()
    upstream.say("y")
    assert there.take(WAIT)[0].text == "y"
    there.leave()
    assert upstream.closed.wait(WAIT)


def test_a_worker_that_leaves_gives_what_is_logged_and_lets_go(two, upstream):
    owner, other = two
    meta = owner.start(call(), upstream)
    before = other.follow(meta)
    upstream.say("so far")
    assert before.take(WAIT)[0].text == "so far"
    other.drain()
    after = other.follow(meta)
    assert [event.text for batch in batches(before) for event in batch] == []
    assert [event.text for batch in batches(after) for event in batch] == ["so far"]


def test_a_dead_workers_stream_is_ended_once_by_those_who_follow(two, upstream, rows):
    owner, other = two
    meta = owner.start(call(), upstream)
    followers = [other.follow(meta) for _ in range(5)]
    upstream.say("what ", "came")
    for follower in followers:
        assert [event.text for event in follower.take(WAIT)] == ["what ", "came"]
    die(owner)
    ends = [gevent.spawn(ended, follower) for follower in followers]
    gevent.joinall(ends, timeout=WAIT, raise_error=True)
    assert {end.value.end.failure.code for end in ends} == {"interrupted"}
    assert {end.value.n for end in ends} == {3}
    assert [row.reason for row in rows if row.id == meta.id] == ["interrupted"]


def die(streams) -> None:
    """As after kill -9: no terminal event, the kernel lets locks and sockets go."""
    for live in streams.live.values():
        live._asker.close()
    streams.live.clear()
    streams.close()
