"""Send an answer as one JSON document. A failure keeps its status; slow answers survive idle timeouts of proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Any, ClassVar

from flask import Response, g

from millstream.events import TERMINAL, Event, to_operator
from millstream.formats import Abort, Format
from millstream.formats.objects import ending, to_json
from millstream.responses import HEADERS, Outlet, stream_response
from millstream.sockets.client import Client
from millstream.streams import Follower
from millstream.views import intake, streams
from millstream.views.services import services

Write = Callable[[Event], Any]  # gets the terminal event


class Document:
    """A format that collects all events with `add`. At the end it writes the result of `done` or `failed`."""

    NAME: ClassVar[str] = "document"
    MEDIA_TYPE: ClassVar[str] = "application/json"
    CONTENT_TYPE: ClassVar[str] = "application/json"
    HEARTBEAT: ClassVar[bytes] = b" "

    def __init__(self, add: Callable[[list[Event]], None], done: Write, failed: Write = ending) -> None:
        self._add, self._done, self._failed = add, done, failed

    def opening(self) -> bytes:
        return b""

    def encode(self, batch: list[Event]) -> bytes:
        self._add(batch)
        return b""

    def closing(self, event: Event) -> bytes | Abort:
        self._add([event])
        return to_json((self._done if event.type == "done" else self._failed)(event))


def whole(follower: Follower, format: Format, client: Client, left: Callable[[], None] = lambda: None) -> Response:
    """Wait for the end. Once the upstream has accepted, the response may begin with white space, because proxies
    close silent connections. A later failure then stands in the body. `left` is called if the client leaves early."""
    use, last = services(), None
    beat = use.settings.heartbeat
    due = monotonic() + beat
    while monotonic() < due or use.streams.state(follower.meta, last) != "running":
        if monotonic() >= due:  # no upstream has accepted yet, so the status is unknown
            due = monotonic() + beat
        batch = follower.take(max(0.0, due - monotonic()))
        if batch is None:
            left()
            raise follower.unfinished()
        if batch and batch[-1].type in TERMINAL:
            return _ended(follower, format, client, batch)
        format.encode(batch)
        last = batch[-1] if batch else last
    show = to_operator if intake.by_operator() else None
    take = partial(next, _beating(follower, beat), None)
    response = stream_response(take, format, client, follower.leave, show)
    body = response.response
    assert isinstance(body, Outlet)
    response.call_on_close(lambda: None if body.end else left())
    return response


def _ended(follower: Follower, format: Format, client: Client, batch: list[Event]) -> Response:
    follower.leave()
    client.unwatch()
    g.end = batch[-1]
    streams.raise_failure(batch[-1])
    format.encode(batch[:-1])
    document = format.closing(batch[-1])
    assert isinstance(document, bytes)
    return Response(document, headers={"Content-Type": format.CONTENT_TYPE, **HEADERS})


def _beating(follower: Follower, beat: float) -> Iterator[list[Event]]:
    """Yield the batches, and [] every `beat` seconds. The client has received none of them yet."""
    due = monotonic()
    while (batch := follower.take(max(0.0, due - monotonic()))) is not None:
        if monotonic() >= due:
            due = monotonic() + beat
            yield []
        if batch:
            yield batch
            if batch[-1].type in TERMINAL:
                return
