"""Straight from the pump to the client, while its follower sleeps."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event as Signal

from tests.streams.fakes import WAIT, batches, call


class Writer:
    """What a client was written to directly; `answers` are given one after the other, then True."""

    def __init__(self, *answers):
        self.batches = []
        self.answers = list(answers)
        self.asked = Signal()

    def __call__(self, batch):
        answer = self.answers.pop(0) if self.answers else True
        if answer is not False:
            self.batches.append([event.text for event in batch])
        self.asked.set()
        return answer


@pytest.fixture
def following(streams, upstream):
    """Begins a stream and follows it, one token in; gives the follower's own batches as they come, and the rest."""

    def follow(*answers):
        follower = streams.follow(streams.start(call(), upstream))
        follower.write = write = Writer(*answers)
        taken = []
        reading = gevent.spawn(lambda: taken.extend([event.text for event in batch] for batch in batches(follower)))
        upstream.accept()
        gevent.idle()  # the follower has read the log, and sleeps
        return follower, write, taken, reading

    return follow


def say(upstream, write, text):
    write.asked.clear()
    upstream.say(text)
    assert write.asked.wait(WAIT)
    gevent.idle()


def test_a_follower_that_sleeps_is_not_woken(following, upstream):
    follower, write, taken, reading = following()
    for text in "ab":
        say(upstream, write, text)
    assert (write.batches, taken, follower.after) == ([["a"], ["b"]], [], 2)
    upstream.finish()
    reading.get(timeout=WAIT)
    assert taken == [[""]]  # the end is its own


def test_what_can_t_be_written_directly_comes_the_follower_s_way(following, upstream):
    _follower, write, taken, reading = following(False, True)
    say(upstream, write, "a")
    say(upstream, write, "b")
    assert (taken, write.batches) == ([["a"]], [["b"]])
    upstream.finish()
    reading.get(timeout=WAIT)


def test_after_direct_writes_a_slow_follower_reads_on_from_the_log_where_it_is(following, upstream, monkeypatch):
    monkeypatch.setattr("millstream.streams.follower.MOST", 2)
    _follower, write, taken, reading = following(True, *[False] * 100)
    say(upstream, write, "a")
    for text in "bcdefg":  # in one turn: more than its inbox takes
        upstream.say(text)
    upstream.finish()
    reading.get(timeout=WAIT)
    assert write.batches == [["a"]]
    assert "".join(text for batch in taken for text in batch) == "bcdefg"
