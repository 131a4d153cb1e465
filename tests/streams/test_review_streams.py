"""What goes wrong around a stream must stay with that stream."""

from __future__ import annotations

from time import monotonic

import gevent
import pytest

from millstream.errors import MillstreamError, NotFound
from tests.stores.samples import longest_turn
from tests.streams.fakes import WAIT, FakePeer, Led, call
from tests.streams.test_streams import ended
from tests.streams.test_workers import die


@pytest.fixture
def two(make_streams, tmp_path):
    return make_streams(f"file:{tmp_path}"), make_streams(f"file:{tmp_path}")


class Idle(FakePeer):
    """A client that has taken everything there was."""

    def unsent(self) -> int:
        return 0


def test_a_stream_erased_by_another_worker_stops_asking_its_upstream(two, upstream, rows):
    owner, other = two
    meta = owner.start(call(), upstream)
    follower = owner.follow(meta)
    upstream.say("x")
    follower.take(WAIT)
    other.delete(meta)
    assert upstream.closed.wait(WAIT)
    assert owner.live == {}
    assert [row.reason for row in rows] == ["cancelled"]


def test_a_deadline_of_an_erased_stream_does_not_stop_the_clock_of_the_others(make_streams, tmp_path):
    streams = make_streams(f"file:{tmp_path}", heartbeat=0.1)
    erased, sound = Led(silence=0.1), Led()
    meta = streams.start(call(), erased)
    streams.follow(meta)
    erased.say("x")
    gevent.sleep(0)
    (tmp_path / f"{meta.id}.log").unlink()
    assert erased.closed.wait(WAIT)
    follower = streams.follow(streams.start(call(), sound))
    with gevent.Timeout(WAIT):
        assert follower.take() == []


def test_a_claim_that_can_not_be_given_back_does_not_keep_a_failed_stream_alive(streams, upstream, monkeypatch):
    def broken(id: str) -> None:
        raise OSError("the disk is read-only")

    monkeypatch.setattr(streams._store, "release", broken)
    follower = streams.follow(streams.start(call(), upstream, claim="me\nk"))
    upstream.break_off()
    with gevent.Timeout(WAIT):
        assert ended(follower).type == "failed"


def test_a_batch_that_could_not_be_logged_leaves_no_gap_in_the_numbers(streams, upstream, monkeypatch):
    follower = streams.follow(streams.start(call(), upstream))
    upstream.say("x")
    follower.take(WAIT)
    append, broken = streams._store.append, iter([True])

    def append_once_not(*args):
        if next(broken, False):
            raise ValueError("not even JSON")
        return append(*args)

    monkeypatch.setattr(streams._store, "append", append_once_not)
    upstream.say("never", "logged")
    last = ended(follower)
    assert (last.n, last.end.failure.code) == (2, "lost")


@pytest.mark.parametrize("how", ["refused", "stopped"])
def test_the_row_of_a_stream_without_a_token_names_no_time_to_the_first(streams, upstream, rows, how):
    meta = streams.start(call(), upstream)
    follower = streams.follow(meta)
    if how == "refused":
        upstream.break_off("upstream_refused")
    else:
        streams.stop(meta)
    ended(follower)
    assert [row.first_token for row in rows] == [None]


def test_a_stream_erased_while_one_begins_to_follow_leaves_no_follower_behind(two, upstream, monkeypatch):
    owner, other = two
    meta = owner.start(call(), upstream)

    def gone(*_):
        raise NotFound

    monkeypatch.setattr(other._store, "watch", gone)
    with pytest.raises(NotFound):
        other.follow(meta)
    assert other.followers == set()


def test_a_dead_workers_stream_erased_while_it_is_taken_over_is_gone(two, upstream, monkeypatch):
    owner, other = two
    meta = owner.start(call(), upstream)
    follower = other.follow(meta)
    upstream.say("x")
    follower.take(WAIT)
    die(owner)

    def gone(*_):
        raise NotFound

    monkeypatch.setattr("millstream.streams.orphans.history", gone)
    assert follower.take(WAIT) is None
    assert other.followers == set()


def test_a_client_that_has_taken_everything_is_not_cut_while_its_status_is_awaited(make_streams, upstream):
    streams = make_streams(slow_follower=0.1)
    peer = Idle()
    follower = streams.follow(streams.start(call(), upstream), peer=peer)
    upstream.say("x")
    follower.take(WAIT)
    assert not peer.was_cut.wait(1)


def test_an_upstream_that_fails_as_it_is_called_fails_the_stream(streams, upstream, monkeypatch):
    def broken(call):
        raise ZeroDivisionError

    monkeypatch.setattr(upstream, "ask", broken)
    follower = streams.follow(streams.start(call(), upstream))
    with gevent.Timeout(WAIT):
        assert ended(follower).end.failure.code == "internal"


def test_nothing_comes_after_the_end(streams, upstream, rows):
    meta = streams.start(call(), upstream)
    follower = streams.follow(meta)
    upstream.say("x")
    follower.take(WAIT)
    upstream.say("too late")
    live = streams.live[meta.id]
    streams.stop(meta)
    assert ended(follower).n == 2
    assert upstream.closed.wait(WAIT)
    assert (live.n, streams.history(meta.id).text, len(rows)) == (2, "x", 1)


def test_a_refusal_that_another_worker_gets_is_known_before_anything_is_sent(two, upstream):
    owner, other = two
    meta = owner.start(call(), upstream, claim="me\nk", fingerprint="f")
    again = other.start(call(), Led(), claim="me\nk", fingerprint="f")
    assert again.id == meta.id
    waiting = gevent.spawn(other.accepted, again.id, WAIT)
    gevent.sleep(0)
    upstream.break_off("upstream_auth")
    with pytest.raises(MillstreamError) as refusal:
        waiting.get(timeout=WAIT)
    assert refusal.value.code == "upstream_auth"


def test_no_look_at_all_streams_holds_the_event_loop(streams, upstream):
    meta = streams.start(call(), upstream)
    followers = [streams.follow(meta) for _ in range(10_000)]
    longest, whole = longest_turn(lambda: streams._check(monotonic()))
    assert longest < whole / 3
    for follower in followers:
        follower.leave()
