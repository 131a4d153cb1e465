"""From batches of events to a Flask response: the one place where a stream is written to a client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic

from flask import Response

from millstream.events import TERMINAL, Event
from millstream.formats import Abort, Format
from millstream.sockets.client import Client
from millstream.sockets.gathering import Gathering

HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
}


def _nothing() -> None:
    pass


class Body:
    """The response's iterable. Unlike a generator it is closed properly even if it was never begun. It knows what it
    `sent`, in bytes, when the `first` events went out, by the monotonic clock, and the terminal event, its `end`."""

    __slots__ = (
        "_batches",
        "_client",
        "_format",
        "_left",
        "_pieces",
        "_rest",
        "_show",
        "end",
        "first",
        "sent",
        "wake",
    )

    def __init__(
        self,
        batches: Iterable[list[Event]],
        format: Format,
        client: Client,
        left: Callable[[], None],
        show: Callable[[Event], Event] | None = None,
    ) -> None:
        self.sent = 0
        self.first: float | None = None
        self.end: Event | None = None
        self._batches = batches
        self._format = format
        self._client = client
        self._pieces: Iterator[bytes] = self._write()
        self._rest: bytes | None = None  # that the client has not taken; None before the headers have gone out
        self.wake: Callable[[], None] = _nothing
        self._left = left
        self._show = show

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._rest = None
        self._client.unwatch()
        self._left()
        self._pieces, self._left, self.wake = iter(()), _nothing, _nothing  # no cycle is left behind

    def write(self, batch: list[Event]) -> bool | None:
        """Writes events that are not terminal without blocking, while nobody iterates: False where it can't be done,
        None where the client did not take all. Then whoever iterates is to go on: with [], if there is no more. Under
        load it is sent a moment later, and `wake` called where the client does not take all of it."""
        if self._rest is None or self._rest or not self._client.chunks:
            return False  # before it is encoded: formats have a state, and whoever iterates encodes it again
        piece = self._format.encode(batch)
        if not piece:
            return True  # an empty chunk would be the last
        frame = self._client.frame(piece)
        self.sent += len(piece)
        self.first = self.first or monotonic()
        self._rest = frame
        return True if Gathering.later(self._send_later) or self._offered() else None

    def _offered(self) -> bool:
        """Sends what there is; whether that was all."""
        with suppress(OSError):  # it has left: whoever iterates meets the same error
            self._rest = self._client.offer(self._rest) if self._rest else b""
        return not self._rest

    def _send_later(self) -> None:
        if not self._offered():
            self.wake()

    def _write(self) -> Iterator[bytes]:
        piece = self._format.opening()  # an empty one makes the server send the headers
        self.sent = len(piece)
        yield piece
        self._rest = b""
        for batch in self._batches:
            if self._rest:
                self._client.send_rest(self._rest)
                self._rest = b""
                if not batch:
                    continue
            terminal = bool(batch) and batch[-1].type in TERMINAL
            if self.first is None and len(batch) > terminal:
                self.first = monotonic()
            piece = self._format.encode(batch[:-1] if terminal else batch) if batch else self._format.HEARTBEAT
            if not terminal:
                self.sent += len(piece)
                if piece and not self._client.send(piece):
                    yield piece
                continue
            self.end = batch[-1]
            closing = self._format.closing(self._show(self.end) if self._show else self.end)
            piece += closing.says if isinstance(closing, Abort) else closing
            self.sent += len(piece)
            yield piece
            if not isinstance(closing, Abort):
                return
            break
        self._client.abort()  # no terminal event, or one that this format has no words for: never a clean end


def stream_response(
    batches: Iterable[list[Event]],
    format: Format,
    client: Client,
    left: Callable[[], None],
    status: int = 200,
    show: Callable[[Event], Event] | None = None,
) -> Response:
    """Streams `batches` in a format. `left` is called when the response is over, however it ends. `show` makes of the
    terminal event what this client may read."""
    headers = {"Content-Type": format.CONTENT_TYPE, **HEADERS}
    return Response(Body(batches, format, client, left, show), status=status, headers=headers)


def head(format: type[Format]) -> Response:
    """What HEAD gets: a stream's headers. An iterator, for of a list Flask would tell the length."""
    return Response(iter(()), headers={"Content-Type": format.CONTENT_TYPE, **HEADERS})


def jitter(milliseconds: int) -> int:
    """±25 %, so that the clients of a restarted server don't all come back in the same moment."""
    return round(milliseconds * random.uniform(0.75, 1.25))
