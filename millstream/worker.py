"""A gevent worker for gunicorn that stays until its streams have ended.

gunicorn's own worker exits when no request is open, which kills a stream without a follower. At `graceful_timeout`
gunicorn's master kills it before it can write anything down.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import gevent
from gunicorn.http import errors as http
from gunicorn.workers import ggevent
from gunicorn.workers.ggevent import GeventWorker
from msgspec import json

from millstream.errors import RequestError, body
from millstream.settings.changes import Changes
from millstream.sockets.accepting import Idle, Server, keep_alive
from millstream.sockets.client import limit_stall
from millstream.sockets.gathering import Gathering

STEP = 0.25  # s between two checks for running streams
LAST_WORDS = 1.0  # s for clients to receive the end of their answers after a Ctrl+C
log = logging.getLogger("millstream")

VANISHED = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


class _NoVanished(logging.Filter):
    """Drop log lines about clients that lost their network; they are no error of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, OSError) and error.errno in VANISHED)


class StreamWorker(GeventWorker):  # type: ignore[misc]
    """A worker that drains before it exits. It still serves requests and lets streams run. `drain_margin` seconds
    before `graceful_timeout` it ends the remaining streams as `interrupted`."""

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if self._services is not None:
            limit_stall(client, self._services.settings.slow_follower)
        keep_alive(client)
        self._idle.add(client)
        try:
            # gunicorn asks the listener for its name. If the worker was just told to exit, the listener is closed,
            # and a client that was just accepted would get no answer. The connection has the same name.
            super().handle(client, client, addr)
        finally:
            self._idle.remove(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        self._idle.busy(sock)
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            self._idle.done(sock)

    _quitting: Any = None
    _voice: IO[str] | None = None
    _changes: Changes | None = None

    def run(self) -> None:
        self.log.error_log.addFilter(_NoVanished())
        drainer = gevent.spawn(self._drain)
        self._idle = Server.idle = Idle(self.worker_connections)
        ggevent.StreamServer = Server
        if self._services is not None:
            self._changes = Changes(self._services.settings)
            gevent.spawn(self._changes.follow, self._services.change, self._say)
        self._gathering = Gathering()
        # Exclude the objects that exist now from garbage collection: scanning them costs 5 % of a busy worker.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()  # gunicorn.conf.py stopped it for the start
        super().run()
        if self._services is not None:
            while self._services.streams.live:
                self.notify()
                gevent.sleep(STEP)
            self._services.close()
        drainer.kill()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handle SIGTERM, which on SIGHUP the master sends to the old workers. Read the keys once more, so that an
        old worker refuses a key that was just revoked."""
        super().handle_exit(sig, frame)
        if self._changes is not None:
            for _ in range(2):  # two looks: the file has already stopped changing
                gevent.spawn(self._changes.take_up, self._services.change, self._say)

    def _say(self, level: int, message: str, *words: object) -> None:
        """Log a message once for all workers: only the worker that holds the lock writes it."""
        with suppress(OSError, KeyError):
            if self._voice is None:
                self._voice = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], "voice").open("w")  # noqa: SIM115
            fcntl.lockf(self._voice, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log.log(level, message, *words)

    def _drain(self) -> None:
        while self.alive:
            gevent.sleep(STEP)
        if self._services is None:
            return
        limit = self.cfg.graceful_timeout
        gevent.sleep(limit - min(self._services.settings.drain_margin, limit / 2))
        self._services.streams.drain()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Handle SIGINT, SIGQUIT and Ctrl+C: end running streams as `interrupted` and exit at once. gunicorn would
        raise SystemExit in the event loop, which prints a traceback and loses the streams."""
        if self._quitting is None:
            self._quitting = gevent.spawn(self._quit)

    def _quit(self) -> None:
        self.alive = False
        if self._services is not None:
            streams = self._services.streams
            streams.drain()
            with gevent.Timeout(LAST_WORDS, False):
                while streams.followers:
                    gevent.sleep(STEP / 5)
                gevent.sleep(STEP / 5)  # let the last chunk follow the last event
            self._services.close()
        logging.shutdown()
        os._exit(0)

    @property
    def _services(self) -> Any:
        """Return the parts that create_app stored in the Flask application; other applications have none."""
        # A signal may arrive before the application exists.
        return getattr(getattr(self, "wsgi", None), "extensions", {}).get("millstream")

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that is not valid HTTP with our JSON error instead of gunicorn's HTML."""
        error = refusal(exc)
        if error is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("refused a request: %s", type(exc).__name__)
        payload = json.encode(body(error.failure()))
        head = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + payload)
        except OSError:
            self.log.debug("the client was gone before its error could be sent")


def refusal(exc: BaseException) -> RequestError | None:
    """Return the error for a request that gunicorn can't parse; None if the client is not to blame."""
    if isinstance(exc, http.LimitRequestLine):
        return RequestError("url_too_long", "The address is too long; send the prompt in the body of a POST.")
    if isinstance(exc, http.LimitRequestHeaders):
        return RequestError("headers_too_large", "The request's headers are too large; send fewer or shorter ones.")
    ours = (http.ConfigurationProblem, http.InvalidResponseHeader, http.InvalidResponseHeaderName)
    if isinstance(exc, http.ParseException) and not isinstance(exc, ours):
        return RequestError("bad_request", f"This is not valid HTTP: {type(exc).__name__}.")
    return None
