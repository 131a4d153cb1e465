"""Turn batches of events into a Flask response. Only this module writes a stream to a client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.datastructures import Headers

from millstream.events import TERMINAL, Event
from millstream.formats import Abort, Format
from millstream.sockets.client import Client
from millstream.sockets.gathering import Gathering

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
}
# For streams: proxies that know RFC 10036 pass on each piece as it comes.
STREAMED = {**HEADERS, "Incremental": "?1"}

# Waits for the next batch: [] where a heartbeat is due, None where there is no more. An iterator would take half a
# KiB more of each stream's stack.
Take = Callable[[], list[Event] | None]


def _nothing() -> None:
    pass


class Outlet:
    """The connection to one client, and the response's iterable.

    It encodes each batch once and sends as much as the client takes without blocking. The iterator sends the rest,
    one batch at most. Over HTTP/1.1 the bytes go straight to the socket; otherwise the server sends them. Both are
    equal.

    Unlike a generator, it is closed properly even if it was never started. `sent` counts bytes, `first` is the
    monotonic time of the first events, `end` is the terminal event.
    """

    __slots__ = (
        "_client",
        "_format",
        "_left",
        "_pieces",
        "_rest",
        "_show",
        "_take",
        "end",
        "first",
        "ready",
        "sent",
        "wake",
    )

    def __init__(
        self,
        take: Take,
        format: Format,
        client: Client,
        left: Callable[[], None],
        show: Callable[[Event], Event] | None = None,
    ) -> None:
        self.sent = 0
        self.first: float | None = None
        self.end: Event | None = None
        self.wake: Callable[[], None] = _nothing  # wakes the iterator
        self.ready: Callable[[], list[Event]] = list  # returns the events that are available without waiting
        self._take = take
        self._format = format
        self._client = client
        self._pieces: Iterator[bytes] = self._iterate()
        self._rest: bytes | None = None  # bytes that the client has not taken; None before the headers were sent
        self._left = left
        self._show = show

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._rest = None
        self._client.unwatch()
        left, self._left = self._left, _nothing
        left()
        # Leave no reference cycle.
        self._pieces, self.wake, self.ready, self._take = iter(()), _nothing, list, _nothing

    def write(self, batch: list[Event]) -> bool:
        """Send events that are not terminal, while the iterator waits. Never blocks. Return False, without encoding,
        if the client can't take more now."""
        if self._rest is None or self._rest:
            return False
        self._put(self._format.encode(batch))
        self.first = self.first or monotonic()
        if not Gathering.later(self._flush):  # under load it is sent a moment later, together with others
            self._flush()
        return True

    def _put(self, piece: bytes) -> None:
        self.sent += len(piece)
        # An empty chunk would be the last.
        self._rest = self._client.frame(piece) if piece and self._client.chunks else piece

    def _flush(self) -> None:
        if self._rest and self._client.chunks:
            with suppress(OSError):  # the client has left: the iterator gets the same error
                self._rest = self._client.offer(self._rest)
        if self._rest:
            self.wake()

    def _drain(self) -> Iterator[bytes]:
        """Send the rest, blocking, or give it to the server."""
        rest, self._rest = self._rest, b""
        if rest and self._client.chunks:
            self._client.send_rest(self._client.offer(rest))
        elif rest:
            yield rest

    def _iterate(self) -> Iterator[bytes]:
        piece = self._format.opening()  # an empty one makes the server send the headers
        batch: list[Event] | None = self.ready()  # with the opening, in one send
        if batch and batch[-1].type in TERMINAL:
            yield from self._end(batch, piece)
            return
        if batch:
            self.first = monotonic()
            piece += self._format.encode(batch)
        self.sent = len(piece)
        yield piece
        self._rest = b""
        while (batch := self._take()) is not None:
            if self._rest:
                yield from self._drain()
                if not batch:
                    continue
            if batch and batch[-1].type in TERMINAL:
                yield from self._end(batch)
                return
            if batch:
                self.first = self.first or monotonic()
            self._put(self._format.encode(batch) if batch else self._format.HEARTBEAT)
            yield from self._drain()
        self._client.abort()

    def _end(self, batch: list[Event], piece: bytes = b"") -> Iterator[bytes]:
        self.end = batch[-1]
        if len(batch) > 1:
            self.first = self.first or monotonic()
        piece += self._format.encode(batch[:-1])
        closing = self._format.closing(self._show(self.end) if self._show else self.end)
        piece += closing.says if isinstance(closing, Abort) else closing
        self.sent += len(piece)
        yield piece
        if isinstance(closing, Abort):
            self._client.abort()  # the format can't express this end: it must not look complete


class Streamed(Response):
    """A response whose body goes to the server unwrapped. Werkzeug's iterators need 1 KiB of each stream's stack."""

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        return super().get_app_iter(environ) if environ["REQUEST_METHOD"] == "HEAD" else _Given(self)

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers unchanged. Parsing Content-Location would take 5 % of the time of a start."""
        plain = self.headers.get("Content-Location", "").isascii()
        return self.headers if plain else super().get_wsgi_headers(environ)


class _Given:
    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.response.__iter__()  # type: ignore[return-value]  # an Outlet

    def close(self) -> None:
        self._response.close()


def stream_response(
    take: Take,
    format: Format,
    client: Client,
    left: Callable[[], None],
    show: Callable[[Event], Event] | None = None,
) -> Response:
    """Return a response that streams the batches of `take`. `left` is called when the response is over, however it
    ends. `show` turns the terminal event into one that this client may read."""
    headers = {"Content-Type": format.CONTENT_TYPE, **STREAMED}
    return Streamed(Outlet(take, format, client, left, show), headers=headers)


def head(format: type[Format]) -> Response:
    """Answer HEAD with a stream's headers. The body is an iterator, because Flask would send a list's length."""
    return Response(iter(()), headers={"Content-Type": format.CONTENT_TYPE, **STREAMED})


def jitter(milliseconds: int) -> int:
    """Vary a delay by ±25 %, so that clients don't all reconnect to a restarted server at the same moment."""
    return round(milliseconds * random.uniform(0.75, 1.25))
