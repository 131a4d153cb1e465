"""From batches of events to a Flask response: the one place where a stream is written to a client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from time import monotonic

from flask import Response

from millstream.events import TERMINAL, Event
from millstream.formats import Abort, Format
from millstream.sockets.client import Client

HEADERS = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept",
}


class Body:
    """The response's iterable. Unlike a generator it is closed properly even if it was never begun. It knows what it
    `sent`, in bytes, when the `first` events went out, by the monotonic clock, and the terminal event, its `end`."""

    def __init__(
        self, batches: Iterable[list[Event]], format: Format, client: Client, left: Callable[[], None]
    ) -> None:
        self.sent = 0
        self.first: float | None = None
        self.end: Event | None = None
        self._pieces = self._write(batches, format, client)
        self._client = client
        self._left = left

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._client.unwatch()
        self._left()

    def _write(self, batches: Iterable[list[Event]], format: Format, client: Client) -> Iterator[bytes]:
        piece = format.opening()  # an empty one makes the server send the headers
        self.sent = len(piece)
        yield piece
        for batch in batches:
            if not batch:
                piece = format.HEARTBEAT
                self.sent += len(piece)
                if piece and not client.send(piece):
                    yield piece
                continue
            terminal = batch[-1].type in TERMINAL
            if self.first is None and not (terminal and len(batch) == 1):
                self.first = monotonic()
            piece = format.encode(batch[:-1] if terminal else batch)
            if not terminal:
                self.sent += len(piece)
                if piece and not client.send(piece):
                    yield piece
                continue
            self.end = batch[-1]
            closing = format.closing(self.end)
            if not isinstance(closing, Abort):
                piece += closing
            self.sent += len(piece)
            yield piece
            if not isinstance(closing, Abort):
                return
            break
        client.abort()  # no terminal event, or one that this format has no words for: never a clean end


def stream_response(
    batches: Iterable[list[Event]], format: Format, client: Client, left: Callable[[], None], status: int = 200
) -> Response:
    """Streams `batches` in a format. `left` is called when the response is over, however it ends."""
    response = Response(Body(batches, format, client, left), status=status)
    response.headers["Content-Type"] = format.CONTENT_TYPE
    response.headers.extend(HEADERS)
    return response


def head(format: type[Format]) -> Response:
    """What HEAD gets: a stream's headers. An iterator, for of a list Flask would tell the length."""
    return Response(iter(()), headers={"Content-Type": format.CONTENT_TYPE, **HEADERS})


def jitter(milliseconds: int) -> int:
    """±25 %, so that the clients of a restarted server don't all come back in the same moment."""
    return round(milliseconds * random.uniform(0.75, 1.25))
