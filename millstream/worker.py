"""gunicorn's gevent worker, but one that stays until its streams have ended.

gunicorn's own worker leaves when its request pool is empty, which kills a stream that nobody follows at the moment.
And at `graceful_timeout` the arbiter kills it before anything can be written down.
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

STEP = 0.25  # s between two looks at what still runs
LAST_WORDS = 1.0  # s that clients get to take the end of their answers after a Ctrl+C
log = logging.getLogger("millstream")

VANISHED = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


class _NoVanished(logging.Filter):
    """A client that is cut off from the network is no error of the server's."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, OSError) and error.errno in VANISHED)


class StreamWorker(GeventWorker):  # type: ignore[misc]
    """Drains before it leaves: requests that still come are served, running streams go on, and `drain_margin`
    seconds before `graceful_timeout` what still runs is ended as interrupted."""

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if self._services is not None:
            limit_stall(client, self._services.settings.slow_follower)
        keep_alive(client)
        self._idle.add(client)
        try:
            # gunicorn asks the listener for its name, and that is closed if the worker was told to leave in this
            # moment: then a client that was just accepted would get nothing. The connection has the same name.
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
        # Objects that exist now stay: scanning them again and again costs 5 % of a busy worker.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        super().run()
        if self._services is not None:
            while self._services.streams.live:
                self.notify()
                gevent.sleep(STEP)
            self._services.close()
        drainer.kill()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: with SIGHUP the master sends it to the workers from before. A key that was just revoked must not
        get in through one of these, either."""
        super().handle_exit(sig, frame)
        if self._changes is not None:
            for _ in range(2):  # the file has stood still already
                gevent.spawn(self._changes.take_up, self._services.change, self._say)

    def _say(self, level: int, message: str, *words: object) -> None:
        """Let one worker log for all: the one that holds the lock."""
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
        """SIGINT and SIGQUIT, Ctrl+C too: what runs is ended as interrupted, and the worker leaves at once.
        gunicorn's own way raises SystemExit in the event loop: a traceback, and nothing is written down."""
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
                gevent.sleep(STEP / 5)  # for the last chunk behind the last word
            self._services.close()
        logging.shutdown()
        os._exit(0)

    @property
    def _services(self) -> Any:
        """Return the parts that create_app put into the Flask application; other applications have none."""
        # A signal may arrive before the application exists.
        return getattr(getattr(self, "wsgi", None), "extensions", {}).get("millstream")

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Requests that are no HTTP get the one error shape, too, instead of gunicorn's HTML."""
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
    """The error for a request that gunicorn can't parse; None for what is not the client's fault."""
    if isinstance(exc, http.LimitRequestLine):
        return RequestError("url_too_long", "The address is too long; send the prompt in the body of a POST.")
    if isinstance(exc, http.LimitRequestHeaders):
        return RequestError("headers_too_large", "The request's headers are too large; send fewer or shorter ones.")
    ours = (http.ConfigurationProblem, http.InvalidResponseHeader, http.InvalidResponseHeaderName)
    if isinstance(exc, http.ParseException) and not isinstance(exc, ours):
        return RequestError("bad_request", f"This is not valid HTTP: {type(exc).__name__}.")
    return None
