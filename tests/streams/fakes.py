"""An upstream that a test leads by the hand, and the parts a Streams needs."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
from gevent.event import Event as Signal
from gevent.queue import Queue

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, Usage
from millstream.streams import Row
from millstream.upstreams import Deadlines
from millstream.upstreams.answers import Flow

WAIT = 20  # s; a deadline for what should come at once

USAGE = Usage(1, 2)


class Led:
    """Gives what the test says: `say` a text, `accept`, `finish`, or `raise_`."""

    name = "led"

    def __init__(self, **limits: float) -> None:
        self.deadlines = Deadlines(**limits)
        self.asked = 0
        self.closed = Signal()
        self._steps: Queue = Queue()

    def stream(self, call: Call) -> Iterator[list[Event]]:
        self.asked += 1
        try:
            while True:
                step = self._steps.get()
                if isinstance(step, Exception):
                    try:
                        raise step
                    finally:
                        del step
                yield step
        finally:
            self.closed.set()

    def accept(self) -> None:
        self._steps.put([])

    def say(self, *texts: str) -> None:
        self._steps.put([Event(text=text) for text in texts])

    def finish(self) -> None:
        self.finish_with()

    def finish_with(self, *texts: str, usage: Usage = USAGE) -> None:
        """The end, and what one read brought with it."""
        done = Event("done", end=End("m", "led", finish_reason="stop", usage=usage))
        self._steps.put([*(Event(text=text) for text in texts), done])

    def break_off(self, code: str = "upstream_broke") -> None:
        self._steps.put(UpstreamError(code, "It broke."))


class Poured(Flow):
    """An accepted answer that the test pours by hand."""

    __slots__ = ("over", "take")

    def __init__(self):
        list.__init__(self)
        self.heard = False

    def pour(self, take, over):
        self.take, self.over = take, over
        return True

    def flood(self, batch):
        """As Body does: what `take` raises is handed on."""
        try:
            self.take(batch)
        except Exception as error:
            self.over(error)

    def cease(self):
        pass


class Pouring:
    name = "pouring"
    deadlines = Deadlines()

    def __init__(self):
        self.flow = Poured()
        self.closed = Signal()

    def stream(self, call):
        try:
            yield self.flow
            gevent.sleep(WAIT)
            yield []
        finally:
            self.closed.set()


class Rows(list):
    def record(self, row: Row) -> None:
        self.append(row)


class FakePeer:
    """A client's connection that takes nothing."""

    def __init__(self) -> None:
        self.was_cut = Signal()

    def unsent(self) -> int:
        return 1000

    def cut(self) -> None:
        self.was_cut.set()


def call(grace: float = 15.0) -> Call:
    return Call(model="m", messages=[{"role": "user", "content": "Hi"}], caller="me", grace=grace)
