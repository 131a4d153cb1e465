"""Ask an upstream, in a greenlet that ends when the answer begins."""

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
    """A sink that is also told when the upstream is asked."""

    def accept(self) -> None: ...
    def fail(self, error: MillstreamError) -> None: ...


class Asker:
    """Asks the upstream and owns the answer. `close` ends either. The question is kept until the first event, because
    until then it may have to be asked again."""

    def __init__(self, upstream: Upstream, call: Call, sink: Asked) -> None:
        self._upstream = upstream
        self._call: Call | None = call
        self._sink: Asked | None = sink
        self._answer: Pushed | None = None
        self._closed = False
        self.asked = False  # the upstream's code is running or has run
        self._greenlet: gevent.Greenlet | None = gevent.spawn(self._ask, call)

    def heard(self) -> None:
        """Note the first event: from now on the question is not asked again."""
        self._call = None

    def again(self, error: MillstreamError) -> MillstreamError | None:
        """Ask once more if the upstream allows a retry; otherwise return the error to report."""
        told = self._upstream.again(error, self._call is None)
        if told is None and self._call is not None:
            self._answer = None
            self._greenlet = gevent.spawn(self._ask, self._call)
        return told

    def close(self) -> None:
        """End the answer, from any greenlet, at any time. Never blocks; idempotent. On return, the connection is
        closed or back in its pool. A question that is still being sent is abandoned in this turn of the event
        loop."""
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
            self._sink.fail(error)  # not `over`: the chain has already tried all upstreams

    def _begin(self, answer: Pushed) -> None:
        sink = self._sink
        if sink is None:  # closed while the upstream accepted
            answer.close()
            return
        self._answer, self._greenlet = answer, None
        sink.accept()
        if not self._closed:
            answer.begin(sink)
