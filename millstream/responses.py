"""From batches of events to a Flask response: the one place where a stream is written to a client."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

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
    """The response's iterable. Unlike a generator it is closed properly even if it was never begun."""

    def __init__(
        self, batches: Iterable[list[Event]], format: Format, client: Client, left: Callable[[], None]
    ) -> None:
        self._pieces = _pieces(batches, format, client)
        self._client = client
        self._left = left

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._client.unwatch()
        self._left()


def _pieces(batches: Iterable[list[Event]], format: Format, client: Client) -> Iterator[bytes]:
    yield format.opening()  # an empty one makes the server send the headers
    for batch in batches:
        if not batch:
            if format.HEARTBEAT:
                yield format.HEARTBEAT
        elif batch[-1].type not in TERMINAL:
            if piece := format.encode(batch):
                yield piece
        else:
            piece = format.encode(batch[:-1])
            closing = format.closing(batch[-1])
            if isinstance(closing, Abort):
                yield piece
                break
            yield piece + closing
            return
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
