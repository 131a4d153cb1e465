"""An upstream that a test leads by the hand, and the parts a Streams needs."""

from __future__ import annotations

from collections.abc import Iterator

from gevent.event import Event as Signal
from gevent.queue import Queue

from millstream.errors import UpstreamError
from millstream.events import TERMINAL, Call, End, Event, Usage
from millstream.streams import Row
from millstream.upstreams import Blocking, Deadlines, Plain, Sink
from tests.calling import calling

WAIT = 20  # s; a deadline for what should come at once

USAGE = Usage(1, 2)


class Led(Plain):
    """Gives what the test says: `say` a text, `accept`, `finish`, or `raise_`."""

    name = "led"

    def __init__(self, **limits: float) -> None:
        self.deadlines = Deadlines(**limits)
        self.asked = 0
        self.closed = Signal()
        self._steps: Queue = Queue()

    def ask(self, call: Call) -> Blocking:
        self.asked += 1
        try:
            first = self._step()
        except BaseException:
            self.closed.set()
            raise
        return Blocking(self._answer(first), self.closed.set)

    def _answer(self, batch: list[Event]) -> Iterator[list[Event]]:
        while True:
            if batch:
                yield batch
            batch = self._step()

    def _step(self) -> list[Event]:
        step = self._steps.get()
        if isinstance(step, Exception):
            try:
                raise step
            finally:
                del step
        return step

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


class Pushing(Plain):
    """Its answer is pushed by the test, through `sink`."""

    name = "pushing"
    deadlines = Deadlines()
    sink = None

    def __init__(self) -> None:
        self.closed = Signal()

    def ask(self, call: Call) -> Pushing:
        return self

    def begin(self, sink: Sink) -> None:
        self.sink = sink

    def close(self) -> None:
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
    return calling("m", [{"role": "user", "content": "Hi"}], caller="me", grace=grace)


def batches(follower):
    """All to its end; then it has left."""
    try:
        while (batch := follower.take()) is not None:
            yield batch
            if batch and batch[-1].type in TERMINAL:
                return
    finally:
        follower.leave()
