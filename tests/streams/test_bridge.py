"""An answer that can only be iterated, pushed by one greenlet."""

from __future__ import annotations

import gevent
import pytest

from millstream.errors import UpstreamError
from millstream.events import End, Event
from millstream.streams.bridge import Bridge
from millstream.upstreams import Blocking
from tests.streams.fakes import WAIT
from tests.upstreams.pushing import Pushed

DONE = Event("done", end=End("m", "u"))


def pushed(*steps, sink=None):
    """The sink, the bridge, and how often the answer was closed."""

    def batches():
        for step in steps:
            gevent.sleep(0)
            if isinstance(step, Exception):
                raise step
            yield step

    closed = []
    sink, bridge = sink or Pushed(), Bridge(Blocking(batches(), lambda: closed.append(1)), "u")
    bridge.begin(sink)
    return sink, bridge, closed


def test_what_it_gives_is_pushed_and_over_once_with_what_came_with_the_end():
    sink, _, closed = pushed([Event(text="a")], [Event(text="b"), DONE])
    sink.ended.get(timeout=WAIT)
    assert ([[event.text for event in batch] for batch in sink.batches], bool(closed)) == ([["a"], ["b", ""]], True)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (UpstreamError("upstream_broke", "Cut."), "upstream_broke"),
        (ZeroDivisionError(), "internal"),
        (None, "upstream_broke"),
    ],
)
def test_what_it_raises_is_over_too_and_an_end_that_does_not_come(step, code):
    sink, _, closed = pushed([Event(text="a")], *([step] if step else []))
    with pytest.raises(Exception) as failed:
        sink.ended.get(timeout=WAIT)
    assert (failed.value.code, len(sink.batches), bool(closed)) == (code, 1, True)


def test_after_close_nothing_is_called_however_often_and_from_wherever_it_is_closed():
    class Leaves(Pushed):
        def batch(self, events):
            super().batch(events)
            bridge.close()
            bridge.close()

    sink, bridge, closed = pushed([Event(text="a")], [Event(text="b")], [DONE], sink=Leaves())
    gevent.sleep(0.05)
    bridge.close()
    assert (len(sink.batches), sink.ended.ready(), bool(closed)) == (1, False, True)
