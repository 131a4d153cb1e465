"""The client's end of one request: has it left, does it take what we send, breaking it off."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import sleep
from typing import Any

READ = 1
SO_NWRITE = 0x1024  # macOS: bytes not yet sent
FLUSH_LIMIT = 5.0  # s that a reset waits for the last bytes to leave
FLUSH_STEP = 0.005  # s


class Aborted(Exception):
    """Breaks a response off where there is no socket to shut; the server logs it without a traceback."""


class BodyTimeout(Exception):
    """The request's body did not come in time."""


class Client:
    """The connection behind one request's WSGI environ.

    gunicorn hands its socket over as `gunicorn.socket`. Other servers have none, nor do HTTP/2 streams that share a
    connection. Then a client that leaves is noticed at the next write only, and `abort` raises.
    `direct`: nothing between us and the server changes the body. The body may then bypass both, in `chunks` of HTTP,
    which takes a tenth less CPU a token.
    """

    __slots__ = ("_http10", "_raw", "_socket", "_watcher", "chunks")

    def __init__(self, environ: dict[str, Any], *, direct: bool = False) -> None:
        shared = environ.get("HTTP_VERSION") == "2"  # set by gunicorn's own HTTP/2
        self._socket = None if shared else environ.get("gunicorn.socket")
        self._http10 = environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
        # gevent's socket with nothing on it; over HTTP/1.1 a body of unknown length goes in chunks (RFC 9112, 7.1).
        plain = hasattr(self._socket, "_sock") and not hasattr(self._socket, "pending")
        self.chunks = direct and plain and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        self._raw: Any = self._socket._sock if self.chunks and self._socket else None
        self._watcher: Any = None

    def limit_buffer(self, size: int) -> None:
        """Bounds what the kernel keeps for this client: a slow reader costs 31 KiB instead of 2.7 MiB."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def watch(self, left: Callable[[], None]) -> None:
        """Calls `left` once, from the event loop, as soon as the client closes or resets the connection."""
        if self._socket is None or not hasattr(self._socket, "_sock") or hasattr(self._socket, "pending"):
            return  # no gevent socket, or TLS on it, where nothing can be peeked at
        from gevent import get_hub  # not above: other applications stream with no gevent at all

        self._watcher = get_hub().loop.io(self._socket.fileno(), READ)
        self._watcher.start(self._readable, left)

    def _readable(self, left: Callable[[], None]) -> None:
        gone = self.has_left()
        if gone is None:
            return
        # Bytes are a pipelined request. They stay readable, so the watch would spin; a failing write tells instead.
        self.unwatch()
        if gone:
            left()

    def has_left(self) -> bool | None:
        """Return True if the client has closed or reset the connection; None if that can't be noticed."""
        if self._socket is None or not hasattr(self._socket, "_sock") or hasattr(self._socket, "pending"):
            return None
        try:
            return bool(self._socket._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            return None
        except OSError:
            return True

    def unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def frame(self, piece: bytes) -> bytes:
        """A piece of the body as a chunk of HTTP, for `offer`: only where it goes in `chunks`."""
        return b"%X\r\n%b\r\n" % (len(piece), piece)

    def offer(self, frame: bytes) -> bytes:
        """Sends what can be sent without waiting, and gives what is left for `send_rest`. Only for a body of unknown
        length whose headers have gone out; its last chunk is the server's. Raises OSError."""
        try:
            sent = self._raw.send(frame)
        except BlockingIOError:
            return frame
        return frame[sent:] if sent < len(frame) else b""

    def send_rest(self, rest: bytes) -> None:
        """Blocks while the client takes nothing. Raises OSError."""
        if rest and self._socket is not None:
            self._socket.sendall(rest)

    def unsent(self) -> int | None:
        """Bytes that the client's side has not yet acknowledged; None where that can't be known."""
        if self._socket is None:
            return None
        try:
            if sys.platform == "darwin":
                return int(self._socket.getsockopt(socket.SOL_SOCKET, SO_NWRITE))
            import fcntl  # which Windows lacks
            import termios

            return int(struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
        except (ImportError, OSError, ValueError):  # ValueError: it is closed
            return None

    def cut(self) -> None:
        """Close the connection while a write to it is blocked."""
        if self._socket is not None:
            shut(self._socket)

    def abort(self) -> None:
        """Breaks the response off so that nobody can take it for complete. Blocks until the last bytes are out.

        HTTP/1.1: the connection ends without the last chunk (curl exits 18). HTTP/1.0 has no other sign of an
        error than a reset (curl exits 56). Raises Aborted where there is no socket.
        """
        self.unwatch()
        if self._socket is None:
            raise Aborted
        if not self._http10:
            return self.cut()
        waited = 0.0
        while self.unsent() and waited < FLUSH_LIMIT:
            sleep(FLUSH_STEP)
            waited += FLUSH_STEP
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return None


def shut(sock: Any) -> None:
    """Close a connection, even if a greenlet waits for it. gevent's own shutdown would make a waiting write fail with
    an error that gunicorn logs."""
    with suppress(OSError):
        getattr(sock, "_sock", sock).shutdown(socket.SHUT_RDWR)


def limit_stall(sock: socket.socket, seconds: float) -> None:
    """Let the kernel close a connection whose peer takes no data for `seconds`, whatever is sent: a page, an error or
    the end of a stream. Linux only. On other systems a reader that merely stops reading is never cut off."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        with suppress(OSError):  # no TCP
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, round(seconds * 1000)))


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bounds reading a request's body: BodyTimeout after so many seconds."""
    from gevent import Timeout

    timer = Timeout(seconds, BodyTimeout)
    timer.start()
    try:
        yield
    finally:
        timer.close()
