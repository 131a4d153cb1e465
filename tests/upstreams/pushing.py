"""An answer as the event loop pushes it, for a greenlet that waits."""

from __future__ import annotations

from contextlib import closing

import gevent
from gevent.event import AsyncResult

from millstream.errors import MillstreamError
from millstream.events import Event
from millstream.upstreams import Blocking


class Pushed:
    """A sink that keeps what came, and whether it came in the event loop."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.ended: AsyncResult = AsyncResult()
        self.in_the_loop = False

    def batch(self, events):
        assert not self.ended.ready()
        self.in_the_loop |= gevent.getcurrent() is gevent.get_hub()
        self.batches.append(events)

    def over(self, end, before=()):
        if isinstance(end, MillstreamError):
            self.batches += [list(before)] if before else []
            self.ended.set_exception(end)
        else:
            self.batches.append([*before, end])
            self.ended.set()


def push(upstream, call, sink=None):
    """All that comes; what came before an error is given before it is raised. Blocking answers are iterated."""
    with closing(upstream.ask(call)) as answer:
        yield []
        if isinstance(answer, Blocking):
            yield from answer
            return
        sink = sink or Pushed()
        answer.begin(sink)
        sink.ended.wait()
        yield from sink.batches
        sink.ended.get()
