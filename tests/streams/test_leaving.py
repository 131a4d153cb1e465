"""An upstream's connection is closed however many ask for it, in whatever order, in one turn of the event loop."""

from __future__ import annotations

import gc
import weakref

import gevent
import pytest

from millstream.errors import UpstreamError
from millstream.events import Call, Event
from millstream.question import Message, Question, Text
from millstream.upstreams.fallback import Chain, Member
from tests.streams.fakes import WAIT, Led, Pushing, batches, call


@pytest.mark.parametrize(
    "turn",
    [
        lambda live, sink, follower: (live._asker.close(), live._asker.close()),
        lambda live, sink, follower: (follower.leave(), live._abandon()),
        lambda live, sink, follower: (sink.over(UpstreamError("upstream_broke", "Cut.")), follower.leave()),
        lambda live, sink, follower: (follower.leave(), sink.batch([Event(text="late")])),
    ],
    ids=["stopped twice", "abandoned twice", "ended and left", "left and more comes"],
)
def test_what_meets_in_one_turn_closes_the_upstream(streams, turn):
    upstream = Pushing()
    meta = streams.start(call(grace=0), upstream)
    follower, live = streams.follow(meta), streams.live[meta.id]
    assert live.settled.wait(WAIT)
    gevent.get_hub().loop.run_callback(turn, live, upstream.sink, follower)
    assert upstream.closed.wait(WAIT / 4)


class Said(Message, frozen=True, weakref=True):
    """A message that a weak reference can point at."""


@pytest.mark.parametrize(
    "ends",
    [
        lambda upstream, live, follower: upstream.finish(),
        lambda upstream, live, follower: upstream.break_off("upstream_refused"),
        lambda upstream, live, follower: live.stop(),
        lambda upstream, live, follower: follower.leave(),
    ],
    ids=["done", "refused", "stopped", "left"],
)
def test_a_question_leaves_memory_with_its_answer_and_not_with_the_garbage_collector(streams, ends):
    upstream = Led()
    gc.collect()
    gc.disable()
    try:
        asked = Call(Question("m", (Said("user", (Text("Hi"),)),)), caller="me", grace=0)
        image = weakref.ref(asked.question.messages[0])
        meta = streams.start(asked, Chain([Member(upstream)]))
        follower, live = streams.follow(meta), streams.live[meta.id]
        upstream.accept()
        assert live.settled.wait(WAIT)
        ends(upstream, live, follower)
        assert upstream.closed.wait(WAIT)
        with gevent.Timeout(WAIT):
            list(batches(follower))
        del asked, follower, live
        gevent.sleep(0.01)
        assert image() is None
    finally:
        gc.enable()


def test_a_question_leaves_memory_with_the_first_event_of_its_answer(streams):
    upstream = Led()
    asked = Call(Question("m", (Said("user", (Text("Hi"),)),)), caller="me", grace=0)
    image = weakref.ref(asked.question.messages[0])
    follower = streams.follow(streams.start(asked, Chain([Member(upstream)])))
    del asked
    upstream.accept()
    upstream.say("first")
    assert follower.take(WAIT)
    gevent.sleep(0.01)
    assert image() is None
    upstream.finish()


@pytest.mark.parametrize("grace", [0, 0.3])
@pytest.mark.parametrize("phase", ["asking", "accepted", "pushing"])
def test_a_crowd_that_leaves_in_one_turn_leaves_no_upstream_open(streams, grace, phase):
    gc.disable()
    try:
        upstreams = [Led() if phase == "asking" else Pushing() for _ in range(400)]
        followers = [streams.follow(streams.start(call(grace=grace), upstream)) for upstream in upstreams]
        gevent.sleep(0.05)
        with gevent.Timeout(WAIT):
            while not all(getattr(upstream, "sink", True) for upstream in upstreams):
                gevent.sleep(0.01)
        for upstream in upstreams if phase == "pushing" else ():
            upstream.sink.batch([Event(text="a")])
        gevent.get_hub().loop.run_callback(lambda: [follower.leave() for follower in followers + followers])
        assert all(upstream.closed.wait(WAIT) for upstream in upstreams)
        with gevent.Timeout(WAIT):
            while streams.live:
                gevent.sleep(0.01)
    finally:
        gc.enable()
