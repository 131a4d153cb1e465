"""Asks an upstream, in a greenlet that ends when the answer begins."""

from __future__ import annotations

import logging
from typing import Protocol

import gevent

from millstream.errors import MillstreamError, unforeseen
from millstream.events import Call
from millstream.streams.bridge import Bridge
from millstream.upstreams import Blocking, Pushed, Sink, Upstream

log = logging.getLogger("millstream")


class Asked(Sink, Protocol):
    """The sink that hears of the asking, too."""

    def accept(self) -> None: ...
    def fail(self, error: MillstreamError) -> None: ...


class Asker:
    """`close` ends whatever is under way: the asking, or the answer. It holds the question no longer than it may have
    to be asked again: until the first event."""

    def __init__(self, upstream: Upstream, call: Call, sink: Asked) -> None:
        self._upstream = upstream
        self._call: Call | None = call
        self._sink: Asked | None = sink
        self._answer: Pushed | None = None
        self._closed = False
        self.asked = False  # the upstream's code runs, or has run
        self._greenlet: gevent.Greenlet | None = gevent.spawn(self._ask, call)

    def heard(self) -> None:
        """Something has come: it is not asked again."""
        self._call = None

    def again(self, error: MillstreamError) -> MillstreamError | None:
        """Asks once more where the upstream says so; else gives what is to be told."""
        told = self._upstream.again(error, self._call is None)
        if told is None and self._call is not None:
            self._answer = None
            self._greenlet = gevent.spawn(self._ask, self._call)
        return told

    def close(self) -> None:
        """From anywhere, at any time; never blocks; idempotent. When it returns the answer's connection is closed, or
        in its pool; what is still being asked is given up in this turn of the event loop."""
        if self._closed:
            return
        self._closed, self._call, self._sink = True, None, None
        answer, self._answer = self._answer, None
        greenlet, self._greenlet = self._greenlet, None
        if answer is not None:
            answer.close()
        elif greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)

    def _ask(self, call: Call) -> None:
        if self._closed:
            return
        self.asked = True
        try:
            answer = self._upstream.ask(call)
        except MillstreamError as error:
            self._refused(error)
        except Exception:
            log.exception("upstream %s failed unexpectedly", self._upstream.name)
            self._refused(unforeseen())
        else:
            del call
            self._begin(Bridge(answer, self._upstream.name) if isinstance(answer, Blocking) else answer)

    def _refused(self, error: MillstreamError) -> None:
        if self._sink is not None:
            self._sink.fail(error)  # not `over`: the chain has asked everybody already

    def _begin(self, answer: Pushed) -> None:
        sink = self._sink
        if sink is None:  # while it was accepted
            answer.close()
            return
        self._answer, self._greenlet = answer, None
        sink.accept()
        if not self._closed:
            answer.begin(sink)
