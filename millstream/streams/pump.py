"""Brings what one upstream says: a greenlet that iterates, or, where the answer can pour, the event loop itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

import gevent

from millstream.errors import MillstreamError, UpstreamError
from millstream.events import TERMINAL, Call, Event, Meta
from millstream.upstreams import Upstream
from millstream.upstreams.answers import Flow

log = logging.getLogger("millstream")


class Sink(Protocol):
    """Where it goes. Nothing here blocks."""

    meta: Meta

    @property
    def over(self) -> bool: ...

    def accept(self) -> None: ...

    def take(self, events: list[Event]) -> bool:
        """Whether more is wanted."""
        ...

    def end(self, event: Event, before: list[Event]) -> None: ...

    def fail(self, error: MillstreamError) -> None: ...


class Pump:
    """Asks at once. An open answer that pours needs no greenlet: that is 7 KiB of its memory, and a third of its CPU.
    `closed` is called once, when the upstream's connection has been closed or given back."""

    def __init__(self, upstream: Upstream, call: Call, sink: Sink, closed: Callable[[], None]) -> None:
        self._upstream = upstream
        self._call = call
        self._sink = sink
        self._closed = closed
        self._batches: Iterator[list[Event]] | None = None
        self._flow: Flow | None = None  # while it pours
        self._stopped = False
        self._iterating = False  # the greenlet has begun, so that it can be killed and still closes
        self._greenlet = gevent.spawn(self._run)

    @property
    def asked(self) -> bool:
        """The upstream's code runs, or has run."""
        return self._iterating or self._batches is not None

    def stop(self) -> None:
        """Nothing more is wanted. From any greenlet and from the event loop; doesn't block; idempotent."""
        if self._stopped:
            return  # a second kill would end the greenlet that closes the connection
        self._stopped = True
        if self._flow is not None:
            self._flow.cease()
            self._flow = None
            self._greenlet = gevent.spawn(self._close)
        elif self._iterating and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill(block=False)

    def _run(self, failed: BaseException | None = None) -> None:
        """Until the end, or until the answer pours; and again after that, with what the pouring `failed` of."""
        try:
            self._iterating = True
            if self._stopped:
                return
            if failed is not None:
                raise failed
            self._iterate()
        except MillstreamError as error:
            self._sink.fail(error)
        except Exception:
            id = self._sink.meta.id
            log.exception("stream %s: the upstream %s failed in an unforeseen way", id, self._upstream.name)
            self._sink.fail(MillstreamError("internal", "The server failed in an unforeseen way; its log says more."))
        finally:
            del failed  # its traceback holds this frame
            if self._flow is None:
                self._close()

    def _iterate(self) -> None:
        sink = self._sink
        self._batches = self._batches or iter(self._upstream.stream(self._call))
        for batch in self._batches:
            if sink.over:
                return  # this read was under way when somebody ended the stream
            if not batch:
                sink.accept()
                if isinstance(batch, Flow) and batch.pour(sink.take, self._poured):
                    if self._stopped:  # by the first batch
                        batch.cease()
                        return
                    self._flow = batch
                    return
            elif batch[-1].type in TERMINAL:
                sink.end(batch[-1], batch[:-1])
                return
            elif not sink.take(batch):
                return
        raise UpstreamError("upstream_broke", f"{self._upstream.name}: the answer has no end.")

    def _poured(self, failed: BaseException | None) -> None:
        if self._stopped:
            return
        self._flow = None
        self._iterating = False
        self._greenlet = gevent.spawn(self._run, failed)

    def _close(self) -> None:
        batches, self._batches = self._batches, None
        getattr(batches, "close", lambda: None)()
        self._closed()
        # No cycle is left behind: a question of 8 MiB would wait for the garbage collector in it. (A greenlet that
        # was killed keeps the exception, and so all frames.)
        self._stopped = True
        del self._call, self._sink, self._upstream, self._closed, self._greenlet


def lost() -> MillstreamError:
    return MillstreamError("lost", "The log of this answer can't be written any more. Ask again.")
