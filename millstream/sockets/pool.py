"""Connections to one server that wait for the next question."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import NamedTuple

from gevent.monkey import get_original

from millstream.wire.http import Framing

MOST = 100  # connections
# NAT and firewalls silently forget an idle connection after a minute or more.
IDLE = 45.0  # s
# llama.cpp promises "Keep-Alive: timeout=5" and closes within 0.1 ms of the last chunk. A question would be lost on
# such a connection, and it can't be told from one that is being answered.
SETTLE = 0.01  # s
TAIL = 0.5  # s to wait for the end of a body
END = 4096  # bytes that this end may have

_poll = get_original("select", "poll") if hasattr(select, "poll") else None  # which Windows lacks


class _Idle(NamedTuple):
    sock: socket.socket
    framing: Framing
    since: float


class Pool:
    def __init__(self) -> None:
        self._idle: list[_Idle] = []  # the one that was put last is at the end

    def put(self, sock: socket.socket, framing: Framing) -> None:
        """A connection on which an answer has been read, all but its last chunk, which may come in the meantime."""
        self._idle.append(_Idle(sock, framing, time.monotonic()))
        self._forget(time.monotonic())

    def take(self) -> socket.socket | None:
        """Return the last used connection that is idle, has settled and has received no unexpected data, or None."""
        now = time.monotonic()
        self._forget(now)
        for idle in reversed(self._idle[:]):
            age = now - idle.since
            if age < SETTLE:
                continue
            over = _over(idle)
            if over is None and age < TAIL:
                continue
            self._idle.remove(idle)
            if over:
                return idle.sock
            idle.sock.close()
        return None

    def close(self) -> None:
        while self._idle:
            self._idle.pop().sock.close()

    def _forget(self, now: float) -> None:
        while self._idle and (len(self._idle) > MOST or now - self._idle[0].since > IDLE):
            self._idle.pop(0).sock.close()


def _over(idle: _Idle) -> bool | None:
    """Return True if the body has ended, with nothing behind it and the connection open; None if it hasn't yet."""
    if not idle.framing.done:
        try:
            idle.sock.settimeout(0)
            idle.framing.feed(idle.sock.recv(END))
            idle.sock.settimeout(None)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except (OSError, ValueError):
            return False
    return idle.framing.done and not idle.framing.more and _is_quiet(idle.sock)


def _is_quiet(sock: socket.socket) -> bool:
    """A connection that is readable has ended, or has something to say that nobody asked for."""
    if _poll is None:
        return not get_original("select", "select")([sock], [], [], 0)[0]
    poll = _poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)
