"""New connections where there are too many: descriptors run out, or clients connect and ask nothing."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

from gevent.server import StreamServer

from millstream.sockets.client import shut

NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE = 0.1  # s before the next try
AT_ONCE = 10  # idle connections to close before the next try
QUIET = 60.0  # s between two lines in the log
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # s, s, probes: a vanished client is let go

log = logging.getLogger("millstream")


class Idle:
    """The connections on which no request is being served. When a worker has almost as many as it takes, it
    closes the one that has been idle longest for each new one. Otherwise 10,000 that ask nothing would keep everybody
    out for `keepalive`."""

    def __init__(self, most: int) -> None:
        self._room = most - max(1, most // 50)
        self._all: set[Any] = set()
        self._idle: dict[Any, None] = {}  # ordered by the time when they became idle

    def add(self, connection: Any) -> None:
        self._all.add(connection)
        self._idle[connection] = None
        if len(self._all) > self._room:
            self.drop()

    def busy(self, connection: Any) -> None:
        self._idle.pop(connection, None)

    def done(self, connection: Any) -> None:
        """The next request may come."""
        if connection in self._all:
            self._idle[connection] = None

    def remove(self, connection: Any) -> None:
        self._all.discard(connection)
        self._idle.pop(connection, None)

    def drop(self) -> None:
        """Close the connection that has been idle longest, if there is one."""
        for connection in self._idle:
            del self._idle[connection]
            shut(connection)
            return


class Server(StreamServer):  # type: ignore[misc]
    """gevent's, which would write a traceback for each connection that it has no descriptor for."""

    idle = Idle(0)
    _quiet = 0.0  # monotonic time of the next log line at the earliest

    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in NO_MORE:
                raise
            now = monotonic()
            if now >= Server._quiet:
                Server._quiet = now + QUIET
                log.warning("no new connection can be taken (%s); raise the limit for open files", error.strerror)
            for _ in range(AT_ONCE):
                Server.idle.drop()
            self.stop_accepting()
            self._timer = self.loop.timer(PAUSE)
            self._timer.start(self._start_accepting_if_started)
            return None


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel probe a silent peer, so that a vanished client is noticed."""
    with suppress(OSError):  # no TCP
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):  # macOS calls the first one otherwise
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
