"""Run an answer that can only be iterated. Only here does a greenlet wait for an upstream's data."""

from __future__ import annotations

import logging

import gevent

from millstream.errors import MillstreamError, UpstreamError, unforeseen
from millstream.events import TERMINAL
from millstream.upstreams import Blocking, Sink

log = logging.getLogger("millstream")


class Bridge:
    """Iterates over a Blocking answer and pushes its events to the sink."""

    def __init__(self, answer: Blocking, name: str) -> None:
        self._answer = answer
        self._name = name
        self._sink: Sink | None = None
        self._greenlet: gevent.Greenlet | None = None

    def begin(self, sink: Sink) -> None:
        self._sink = sink
        self._greenlet = gevent.spawn(self._run, sink)

    def close(self) -> None:
        self._sink = None
        self._answer.close()
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)

    def _run(self, sink: Sink) -> None:
        try:
            for batch in self._answer:
                if self._sink is None:
                    return
                if batch[-1].type in TERMINAL:
                    self.close()
                    sink.over(batch[-1], batch[:-1])
                    return
                sink.batch(batch)
            raise UpstreamError("upstream_broke", f"{self._name}: the answer has no end.")
        except MillstreamError as error:
            self._fail(sink, error)
        except Exception:
            log.exception("upstream %s failed unexpectedly", self._name)
            self._fail(sink, unforeseen())

    def _fail(self, sink: Sink, error: MillstreamError) -> None:
        if self._sink is not None:
            self.close()
            sink.over(error)
