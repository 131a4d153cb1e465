"""Stream any generator from a view of any Flask application: `return millstream.stream(generator)`."""

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
    """Return a response that streams `source` in the format that the request's Accept header asks for.

    The formats are plain text, server-sent events, NDJSON, and JSON at the end. If Accept takes none of them, the
    response is a 406. `source` yields texts or Events, such as `Event("reasoning", text=…)`. The stream is done when
    `source` is exhausted, and fails when `source` raises.

    `source` runs in its own thread (a greenlet under gevent), outside the request's context. Pass it plain values,
    never `request`. When the client leaves, `source` is closed at its next yield.

    `heartbeat` is in seconds, `retry` in milliseconds. There is no store and no resume: when EventSource reconnects,
    your view starts a new generator.
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
    """Return millstream.js, the browser's client: `app.add_url_rule("/millstream.js", view_func=client_js)`."""
    response = send_file(SITE / "static/millstream.js", "text/javascript", conditional=True)
    response.headers["Cache-Control"] = "no-cache"  # browsers revalidate it, and mostly get "not modified"
    return response


def _refused(source: Iterable[str | Event]) -> Response:
    """Return the error as a response. Other applications have no handler for our errors and would answer 500."""
    _close(source)
    error = not_acceptable(OFFERED)
    response = jsonify(body(error.failure()))
    response.status_code = error.status
    response.headers["Vary"] = "Accept"
    return response


class Relay:
    """Give batches of events from a generator that runs beside it."""

    def __init__(self, source: Iterable[str | Event], heartbeat: float) -> None:
        self._source = iter(source)
        self._heartbeat = heartbeat
        self._items: queue.Queue[Event | None] = queue.Queue(AHEAD)
        self._left = False
        self._n = 0
        Thread(target=self._run, daemon=True).start()

    def take(self) -> list[Event] | None:
        """Return the next batch; [] when a heartbeat is due; None after `leave`."""
        if self._left:
            return None
        batch = number(self._waiting(), self._n)
        self._n += len(batch)
        return batch

    def leave(self) -> None:
        """Close the generator at its next yield, because the client has gone. Idempotent; never blocks."""
        self._left = True
        while True:  # make room, so that the generator reaches its next yield
            try:
                self._items.get_nowait()
            except queue.Empty:
                break
        self._items.put_nowait(None)

    def _waiting(self) -> list[Event]:
        """Return all waiting items; if there are none, wait for the next one."""
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
        except BaseException:  # SystemExit, too: otherwise the client would wait for ever
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
