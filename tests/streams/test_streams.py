"""The life of a stream, led by the hand."""

from __future__ import annotations

from decimal import Decimal

import gevent
import pytest

from millstream.errors import MillstreamError, NotFound, RequestError, Unavailable
from millstream.events import MOST_TOKENS, Event, Piece, Usage
from millstream.settings import Price
from millstream.streams import Several
from tests.streams.fakes import WAIT, FakePeer, Led, Pushing, batches, call


def texts(follower):
    return "".join(event.text for batch in batches(follower) for event in batch)


def until(condition):
    with gevent.Timeout(WAIT):
        while not condition():
            gevent.sleep(0.01)


def ended(follower):
    """The terminal event."""
    return [event for batch in batches(follower) for event in batch][-1]


def test_a_follower_gets_every_event_once_and_in_order(streams, upstream):
    meta = streams.start(call(), upstream)
    follower = streams.follow(meta)
    upstream.say("Hel", "lo")
    assert [event.text for event in follower.take(WAIT)] == ["Hel", "lo"]
    upstream.say("!")
    upstream.finish()
    rest = [event for batch in batches(follower) for event in batch]
    assert [(event.n, event.text, event.type) for event in rest] == [(3, "!", "message"), (4, "", "done")]


def test_one_read_of_the_upstream_is_one_batch(streams, upstream):
    follower = streams.follow(streams.start(call(), upstream))
    upstream.say("a", "b", "c")
    assert len(follower.take(WAIT)) == 3


def test_a_late_follower_reads_the_log_first(streams, upstream):
    meta = streams.start(call(), upstream)
    first = streams.follow(meta)
    upstream.say("one ")
    first.take(WAIT)
    late = streams.follow(meta)
    upstream.say("two")
    upstream.finish()
    assert texts(late) == "one two"


def test_resume_after_the_last_event_seen(streams, upstream):
    meta = streams.start(call(), upstream)
    upstream.say("a", "b", "c")
    upstream.finish()
    assert texts(streams.follow(meta)) == "abc"
    assert texts(streams.follow(meta, after=2)) == "c"


@pytest.mark.parametrize(("said", "counted"), [(2**70, MOST_TOKENS), (-(2**63), 0)])
def test_an_absurd_usage_stops_no_counting(make_streams, upstream, rows, said, counted):
    streams = make_streams(prices=(Price("m", Decimal(1), Decimal(2)),))
    follower = streams.follow(streams.start(call(), upstream))
    upstream.finish_with("a", usage=Usage(said, said, cached=said))
    assert ended(follower).end.usage == Usage(counted, counted, cached=counted)
    assert [row.usage.output for row in rows] == [counted]


def test_one_that_can_not_count_keeps_it_from_nobody(streams, upstream, rows, caplog):
    streams._ends = Several(Led(), rows)  # which has no `record`
    follower = streams.follow(streams.start(call(), upstream))
    upstream.finish()
    assert ended(follower).type == "done" and len(rows) == 1
    assert "could not be counted by Led" in caplog.text


def test_a_position_is_wrong_only_when_the_stream_has_ended_before_it(streams, upstream):
    meta = streams.start(call(), upstream)
    for code, status in (("store_unavailable", 503), ("bad_position", 400)):
        with pytest.raises(MillstreamError) as refusal:
            streams.follow(meta, after=2)
        assert (refusal.value.code, refusal.value.status) == (code, status)
        assert ("Retry-After" in refusal.value.headers) == (status == 503)
        streams.stop(meta)


def test_what_is_written_while_it_is_looked_for_is_no_wrong_position(streams, upstream, monkeypatch):
    meta = streams.start(call(), upstream)
    at = streams.at

    def end_behind_the_look(id, n):
        found = at(id, n)
        upstream.say("a")
        upstream.finish()
        until(lambda: streams.history(id).terminal)
        return found

    monkeypatch.setattr(streams, "at", end_behind_the_look)
    assert [event.n for event in streams.follow(meta, after=1).take(WAIT)] == [2]


@pytest.mark.parametrize("store", ["memory:", "file:{tmp}"])
def test_a_follower_that_lags_reads_on_from_the_log(make_streams, upstream, store, tmp_path):
    streams = make_streams(store.format(tmp=tmp_path))
    meta = streams.start(call(), upstream)
    slow, quick = streams.follow(meta), streams.follow(meta)
    upstream.say("0 ")
    assert slow.take(WAIT)
    for number in range(1, 500):
        upstream.say(f"{number} ")
    upstream.finish()
    assert texts(quick) == "".join(f"{number} " for number in range(500))
    assert texts(slow) == "".join(f"{number} " for number in range(1, 500))


@pytest.mark.parametrize("how", ["stop", "leave", "late", "drain", "upstream_broke"])
def test_what_was_sent_is_counted_though_no_answer_began(make_streams, rows, how):
    streams, upstream = make_streams(), Led(first_token=0.1 if how == "late" else WAIT)
    meta = streams.start(call(grace=0), upstream)
    follower = streams.follow(meta)
    until(lambda: upstream.asked)
    {"stop": lambda: streams.stop(meta), "leave": follower.leave, "drain": streams.drain}.get(how, int)()
    if how == "upstream_broke":
        upstream.break_off(how)
    until(lambda: rows)
    assert (rows[0].usage, meta.prompt > 0) == (Usage(meta.prompt, 0, "estimated"), True)


@pytest.mark.parametrize("code", ["upstream_auth", "upstream_refused", "connect_timeout"])
def test_what_was_refused_is_not_counted(streams, upstream, rows, code):
    streams.start(call(), upstream)
    upstream.break_off(code)
    until(lambda: rows)
    assert rows[0].usage is None


def test_stop_ends_the_stream_as_done_and_closes_the_upstream(streams, upstream, rows):
    meta = streams.start(call(), upstream)
    follower = streams.follow(meta)
    upstream.say("some ")
    follower.take(WAIT)
    streams.stop(meta)
    last = ended(follower)
    assert (last.type, last.end.finish_reason, last.end.usage.source) == ("done", "cancelled", "estimated")
    assert upstream.closed.wait(WAIT)
    streams.stop(meta)
    assert [row.reason for row in rows] == ["cancelled"]


@pytest.mark.parametrize("code", ["upstream_broke", "upstream_auth"])
def test_what_the_upstream_raises_ends_the_stream_as_failed(streams, upstream, code):
    follower = streams.follow(streams.start(call(), upstream))
    upstream.say("half an ans")
    upstream.break_off(code)
    last = ended(follower)
    assert (last.type, last.end.failure.code, last.n) == ("failed", code, 2)


def test_a_refusal_is_known_before_anything_is_sent(streams, upstream):
    meta = streams.start(call(), upstream)
    upstream.break_off("upstream_auth")
    with pytest.raises(MillstreamError) as refusal:
        streams.accepted(meta.id, WAIT)
    assert (refusal.value.status, refusal.value.code) == (502, "upstream_auth")


def test_accepted_returns_when_the_upstream_accepts_or_the_time_is_over(streams, upstream):
    meta = streams.start(call(), upstream)
    streams.accepted(meta.id, 0.01)
    assert streams.state(meta, None) == "pending"
    upstream.accept()
    streams.accepted(meta.id, WAIT)
    assert streams.state(meta, None) == "running"


def test_with_grace_0_the_upstream_is_closed_when_the_last_follower_leaves(streams, upstream, rows):
    meta = streams.start(call(grace=0), upstream)
    one, two = streams.follow(meta), streams.follow(meta)
    gevent.sleep(0)
    one.leave()
    assert not upstream.closed.wait(0.1)
    two.leave()
    assert upstream.closed.wait(WAIT)
    gevent.sleep(0)
    assert [row.reason for row in rows] == ["abandoned"]


def test_within_grace_the_stream_goes_on(make_streams, upstream):
    streams = make_streams(grace_new=0.3)
    meta = streams.start(call(grace=30), upstream)
    streams.follow(meta).leave()
    upstream.say("still ")
    upstream.say("there")
    upstream.finish()
    assert texts(streams.follow(meta)) == "still there"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"first_token": 0.1}, "first_token_timeout"),
        ({"silence": 0.1}, "silence_timeout"),
        ({"total": 0.1}, "total_timeout"),
    ],
)
def test_each_deadline_has_its_code(streams, limits, code):
    upstream = Led(**limits)
    follower = streams.follow(streams.start(call(), upstream))
    if code != "first_token_timeout":
        upstream.say("x")
    assert ended(follower).end.failure.code == code
    assert upstream.closed.wait(WAIT)


def test_nobody_ever_followed(make_streams, upstream):
    streams = make_streams(grace_new=0.1)
    meta = streams.start(call(grace=0), upstream)
    gevent.sleep(0)
    assert upstream.closed.wait(WAIT)
    assert ended(streams.follow(meta)).end.failure.code == "abandoned"


def test_a_heartbeat_is_due_in_silence(make_streams, upstream):
    streams = make_streams(heartbeat=0.1)
    follower = streams.follow(streams.start(call(), upstream))
    assert follower.take() == []
    upstream.say("x")
    upstream.finish()
    assert texts(follower) == "x"


def test_a_client_that_takes_nothing_is_cut(make_streams, upstream):
    streams = make_streams(slow_follower=0.1)
    peer = FakePeer()
    follower = streams.follow(streams.start(call(), upstream), peer=peer)
    upstream.say("x")
    follower.take()  # the client's connection never takes it: nobody asks for more
    assert peer.was_cut.wait(WAIT)


def test_a_claim_gives_the_same_stream_again_and_asks_once(streams, upstream):
    first = streams.start(call(), upstream, claim="me\nk", fingerprint="f")
    gevent.sleep(0)
    assert streams.start(call(), upstream, claim="me\nk", fingerprint="f").id == first.id
    assert upstream.asked == 1


def test_a_claim_with_another_question_is_refused(streams, upstream):
    streams.start(call(), upstream, claim="me\nk", fingerprint="f")
    with pytest.raises(RequestError) as refusal:
        streams.start(call(), upstream, claim="me\nk", fingerprint="g")
    assert (refusal.value.status, refusal.value.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("store", ["memory:", "file:{tmp}"])
@pytest.mark.parametrize(
    ("happened", "free"),
    [
        (lambda upstream, follower: upstream.break_off("upstream_refused"), True),
        (lambda upstream, follower: upstream.break_off("connect_timeout"), True),
        (lambda upstream, follower: upstream.break_off("upstream_broke"), False),  # sent, and no word: may be paid
        (lambda upstream, follower: follower.leave(), False),  # abandoned while it is being asked
        (lambda upstream, follower: (upstream.accept(), upstream.break_off("upstream_refused")), False),
        (lambda upstream, follower: (upstream.accept(), gevent.idle(), follower.leave()), False),
    ],
)
def test_a_claim_is_free_again_only_where_an_upstream_has_refused(
    make_streams, upstream, store, tmp_path, happened, free
):
    streams = make_streams(store.format(tmp=tmp_path))
    first = streams.start(call(grace=0), upstream, claim="me\nk", fingerprint="f")
    follower = streams.follow(first)
    gevent.idle()
    happened(upstream, follower)
    assert ended(streams.follow(first)).type == "failed"
    assert (streams.start(call(), upstream, claim="me\nk", fingerprint="f").id != first.id) == free


def test_another_callers_stream_is_as_absent_as_none(streams, upstream):
    meta = streams.start(call(), upstream)
    messages = []
    for id, caller in ((meta.id, "you"), ("x" * 22, "you")):
        with pytest.raises(NotFound) as refusal:
            streams.meta(id, caller)
        messages.append(refusal.value.message)
    assert messages[0] == messages[1]


def test_a_full_worker_takes_no_more(make_streams, upstream):
    streams = make_streams(max_streams=1)
    streams.start(call(), upstream)
    assert streams.trouble() == "full"
    with pytest.raises(Unavailable) as refusal:
        streams.start(call(), upstream)
    assert refusal.value.headers["Retry-After"]


def test_draining_ends_what_still_runs_as_interrupted(streams, upstream, rows):
    follower = streams.follow(streams.start(call(), upstream))
    upstream.say("half")
    follower.take(WAIT)
    streams.drain()
    assert ended(follower).end.failure.code == "interrupted"
    assert [row.reason for row in rows] == ["interrupted"]
    with pytest.raises(Unavailable) as refusal:
        streams.start(call(), upstream)
    assert refusal.value.code == "draining"


def test_delete_stops_and_erases(streams, upstream):
    meta = streams.start(call(), upstream)
    streams.delete(meta)
    with pytest.raises(NotFound):
        streams.meta(meta.id, "me")
    assert streams.live == {}


def test_a_bug_in_an_upstream_is_a_failure_and_not_silence(streams, upstream):
    follower = streams.follow(streams.start(call(), upstream))
    upstream._steps.put(ZeroDivisionError())
    assert ended(follower).end.failure.code == "internal"


TOO_LONG = (
    [Event(text="x" * 101)],
    [Event("call", call=Piece(n, "i", "f")) for n in range(4)],
    [Event("call", "{}", call=Piece(0, "i", "f" * 101))],
    [Event("reasoning", signature="s" * 101, redacted=True)],
)


@pytest.mark.parametrize("batch", TOO_LONG)
@pytest.mark.parametrize("pours", [True, False])
def test_an_answer_that_is_too_long_is_ended_as_failed(make_streams, upstream, rows, pours, batch):
    streams = make_streams(max_answer=100)
    upstream = Pushing() if pours else upstream
    meta = streams.start(call(), upstream)
    follower, live = streams.follow(meta), streams.live[meta.id]
    if pours:
        assert live.settled.wait(WAIT)
        gevent.get_hub().loop.run_callback(upstream.sink.batch, batch)
    else:
        upstream._steps.put(batch)
    last = ended(follower)
    assert (last.type, last.end.failure.code, last.n) == ("failed", "answer_too_long", len(batch) + 1)
    assert upstream.closed.wait(WAIT)
