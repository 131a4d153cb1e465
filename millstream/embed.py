"""`return millstream.stream(generator)`: streams anything from a view of any Flask application."""

from __future__ import annotations

import logging
import queue
import secrets
import time
from collections.abc import Iterable
from threading import Thread

from flask import Response, jsonify, request, send_file

from millstream.errors import MillstreamError, body
from millstream.events import TERMINAL, End, Event, Meta, number
from millstream.formats import Options
from millstream.formats.table import BY_MEDIA_TYPE
from millstream.negotiation import negotiate, not_acceptable
from millstream.responses import jitter, stream_response
from millstream.settings.places import SITE
from millstream.sockets.client import Client

log = logging.getLogger("millstream")

OFFERED = ("text/plain", "text/event-stream", "application/x-ndjson", "application/json")
AHEAD = 64  # items the generator may be ahead of a slow client; then it waits


def stream(source: Iterable[str | Event], *, heartbeat: float = 15.0, retry: int = 2000) -> Response:
    """A response that streams `source` in the format that the request's Accept header asks for: plain text,
    server-sent events, NDJSON, or JSON at the end.

    `source` yields texts, or Events (`Event("reasoning", text=…)`); when it is exhausted the stream is done, and
    an exception in it makes it fail. It runs in a thread of its own (a greenlet under gevent), outside the
    request's context: hand it plain values, never `request`. When the client leaves, it is closed at its next
    yield. `heartbeat` is in seconds, `retry` in milliseconds (EventSource reconnects and starts a new generator:
    there is no store here, and no resume). Where Accept takes none of the formats, the response is a 406.
    """
    media_type = negotiate(request.headers.get("Accept"), OFFERED)
    if media_type is None:
        return _refused(source)
    meta = Meta(id=secrets.token_urlsafe(16), owner="", worker="", created=time.time(), model="")
    client = Client(request.environ)
    relay = Relay(source, heartbeat)
    client.watch(relay.leave)
    format = BY_MEDIA_TYPE[media_type](meta, Options(retry=jitter(retry)))
    return stream_response(relay.take, format, client, relay.leave)


def client_js() -> Response:
    """A response with millstream.js, the browser's client: `app.add_url_rule("/millstream.js", view_func=…)`."""
    response = send_file(SITE / "static/millstream.js", "text/javascript", conditional=True)
    response.headers["Cache-Control"] = "no-cache"  # asked for again, and then mostly "not modified"
    return response


def _refused(source: Iterable[str | Event]) -> Response:
    """Other applications have no handler for our errors: raised, it would be their 500."""
    _close(source)
    error = not_acceptable(OFFERED)
    response = jsonify(body(error.failure()))
    response.status_code = error.status
    response.headers["Vary"] = "Accept"
    return response


class Relay:
    """Batches of events from a generator that runs beside it."""

    def __init__(self, source: Iterable[str | Event], heartbeat: float) -> None:
        self._source = iter(source)
        self._heartbeat = heartbeat
        self._items: queue.Queue[Event | None] = queue.Queue(AHEAD)
        self._left = False
        self._n = 0
        Thread(target=self._run, daemon=True).start()

    def take(self) -> list[Event] | None:
        """The next batch; [] where a heartbeat is due; None after `leave`."""
        if self._left:
            return None
        batch = number(self._waiting(), self._n)
        self._n += len(batch)
        return batch

    def leave(self) -> None:
        """The client has gone: the generator is closed at its next yield. Idempotent; never blocks."""
        self._left = True
        while True:  # room for the generator to go on to its next yield
            try:
                self._items.get_nowait()
            except queue.Empty:
                break
        self._items.put_nowait(None)

    def _waiting(self) -> list[Event]:
        """Take all items that are there, or wait for the next one."""
        batch: list[Event | None] = []
        try:
            batch.append(self._items.get(timeout=self._heartbeat))
            while True:
                batch.append(self._items.get_nowait())
        except queue.Empty:
            return [event for event in batch if event is not None]

    def _run(self) -> None:
        try:
            for item in self._source:
                if self._left:
                    return
                event = _event(item)
                self._items.put(event)
                if event.type in TERMINAL:
                    return
            self._items.put(_end(None))
        except MillstreamError as error:
            self._items.put(_end(error))
        except BaseException:  # SystemExit, too: the client shall not wait for ever
            log.exception("a streamed generator failed")
            self._items.put(_end(MillstreamError("internal", "The job failed; the server's log says why.")))
        finally:
            _close(self._source)


def _close(source: Iterable[str | Event]) -> None:
    getattr(source, "close", lambda: None)()


def _event(item: str | Event) -> Event:
    if isinstance(item, Event):
        return item
    if isinstance(item, str):
        return Event(text=item)
    raise TypeError(f"a streamed generator has to yield str or Event, not {type(item).__name__}")


def _end(error: MillstreamError | None) -> Event:
    if error is None:
        return Event("done", end=End(model="", upstream="", finish_reason="stop"))
    return Event("failed", end=End(model="", upstream="", failure=error.failure()))
