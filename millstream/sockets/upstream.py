"""A response of an upstream: its head, and its body read as it comes.

https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from gevent import get_hub

from millstream.sockets.pool import Pool
from millstream.sockets.reading import Reading
from millstream.wire.http import Framing

SIZE = 65536  # bytes of one read
NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)

Read = TypeVar("Read")
Take = Callable[[bytes], None]
Ended = Callable[[Exception | None], None]


class Untaken(ConnectionError):
    """The server closed the connection before the request came to it."""


def ask(sock: socket.socket, message: bytes, read: Callable[[bytes], Read | None]) -> Read:
    """Sends a request and feeds `read` with what comes until it gives something. Raises OSError (Untaken), and what
    `read` raises."""
    before = _acknowledged(sock)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered early
        sock.sendall(message)
    while True:
        data = sock.recv(SIZE)
        if not data:
            # The end would acknowledge what had come before it. A reset would not, so it tells nothing.
            taken = before is None or _acknowledged(sock) != before
            raise (ConnectionError if taken else Untaken)("closed before it answered")
        found = read(data)
        if found is not None:
            return found


def _acknowledged(sock: socket.socket) -> int | None:
    """The bytes that the other end's system has; None where this system doesn't tell. Linux has them in tcp_info."""
    with contextlib.suppress(AttributeError, OSError):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
        return int.from_bytes(info[120:], sys.byteorder) if len(info) == 128 else None
    return None


class Body:
    """The body of a response; `first` is the data that came with the head. With a `pool`, the connection may be used
    again. The body's owner must `close` or `release` it."""

    __slots__ = (
        "_ended",
        "_first",
        "_framing",
        "_over",
        "_pending",
        "_pool",
        "_sock",
        "_take",
        "_timer",
        "_watcher",
    )

    def __init__(self, sock: socket.socket, framing: Framing, first: bytes = b"", pool: Pool | None = None) -> None:
        self._sock = sock
        self._framing = framing
        self._pool = pool
        self._over = False  # closed or given back
        self._watcher: Any = None
        self._timer: Any = None
        self._take: Take | None = None
        self._ended: Ended | None = None
        self._pending: Callable[[], int] | None = getattr(sock, "pending", None)  # TLS
        if self._pending is not None and self._pending():
            first += sock.recv(self._pending())
        self._first = first

    def begin(self, take: Take, ended: Ended) -> None:
        """Call `take` with each payload from now on, and at last `ended`, once.

        `ended` gets None at the body's end, ConnectionError where it was cut, ValueError where its framing is broken,
        or what `take` raised. Both are called in the event loop, where nothing may block, or in here, if something is
        there already. Either may `close` or `release` the body, after which nothing is called."""
        self._take, self._ended = take, ended
        self._sock.settimeout(0)
        # Bytes that came with the head, or that TLS has already decrypted, don't make the socket readable.
        while self._ended is not None and self._is_there():
            self._turn()
        if self._ended is not None:
            self._watcher = Reading(self._sock.fileno(), self._turn)

    def hurry(self, seconds: float) -> None:
        """The rest has to come within so many seconds from now: else `ended` is called with TimeoutError."""
        if self._ended is not None and self._timer is None:
            self._timer = get_hub().loop.timer(seconds)
            self._timer.start(self._tell, TimeoutError(f"the end did not come within {seconds:g} s"))

    def _is_there(self) -> bool:
        return bool(self._first) or self._framing.done or (self._pending is not None and self._pending() > 0)

    def _turn(self) -> None:
        """Read once, and pass on the data."""
        trouble: Exception | None = None
        over = self._framing.done
        try:
            if not over and (payload := self._payload()) and self._take is not None:
                self._take(payload)
        except NOTHING_YET:
            return
        except EOFError:
            over = True
        except Exception as error:
            trouble = error
        if over or trouble is not None or self._framing.done:
            self._tell(trouble)

    def _payload(self, *, waits: bool = False) -> bytes:
        """Return the payload of one read. Raises EOFError if the body ends with the connection."""
        try:
            data = self._received(waits)
        except (*NOTHING_YET, TimeoutError):
            raise
        except OSError as error:  # TLS has errors of its own
            raise ConnectionError(str(error)) from error
        if not data:
            self._end()
            raise EOFError
        return self._framing.feed(data)

    def _tell(self, trouble: Exception | None) -> None:
        ended = self._ended
        self.cease()
        if ended is not None:
            ended(trouble)

    def _received(self, waits: bool) -> bytes:
        if self._first:
            data, self._first = self._first, b""
        elif self._pending is None and not waits:
            data = os.read(self._sock.fileno(), SIZE)  # past gevent's wrapper
        else:
            data = self._sock.recv(SIZE)
            if data and self._pending is not None and (more := self._pending()):
                data += self._sock.recv(more)
        return data

    def read(self, seconds: float | None = None) -> bytes:
        """Return what has arrived; wait if nothing has; b"" at the end.

        Raises ConnectionError where the body was cut, ValueError where its framing is broken, TimeoutError after
        so many seconds without a byte. By default it waits for ever: deadlines are kept elsewhere, because a
        time-out on the socket costs 7 µs each time.
        """
        if seconds is not None:
            self._sock.settimeout(max(seconds, 0.001))
        with contextlib.suppress(EOFError):
            while not self._framing.done:
                if payload := self._payload(waits=True):
                    return payload
        return b""

    def cease(self) -> None:
        """Calls nothing any more. Idempotent."""
        self._take = self._ended = None  # leave no reference cycle
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        if self._watcher is not None:
            self._watcher.stop()
            self._sock.settimeout(None)
        self._watcher = self._timer = None

    def beginning(self, limit: int, seconds: float) -> bytes:
        """Return at most `limit` bytes of a short body that arrive within `seconds`. Then close the body, or
        release it if it was complete. Never raises."""
        deadline = time.monotonic() + seconds
        data = b""
        try:
            with contextlib.suppress(OSError, ValueError):
                while len(data) < limit and (left := deadline - time.monotonic()) > 0 and (more := self.read(left)):
                    data += more
            if self._framing.done:
                self.release()
        finally:
            self.close()
        return data[:limit]

    def release(self) -> None:
        """Gives the connection back for the next question where nothing speaks against that; else closes it. The end
        of the body may still be under way: the pool looks whether it has come. Idempotent."""
        if self._pool is None or self._first:
            self.close()
        elif not self._over:
            self._over = True
            self.cease()
            self._sock.settimeout(None)
            self._pool.put(self._sock, self._framing)

    def close(self) -> None:
        """Closes the connection at once, whoever may be reading, if it is still ours. Idempotent."""
        if not self._over:
            self._over = True
            self.cease()
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()

    def _end(self) -> bytes:
        try:
            self._framing.close()
        except ValueError as error:
            raise ConnectionError(str(error)) from error
        return b""
