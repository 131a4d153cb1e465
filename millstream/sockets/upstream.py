"""The body of an upstream's response, read as it comes: https://www.rfc-editor.org/rfc/rfc9112#section-6

urllib3's own parser costs ten times what this does (it reads each chunk's size, data and line end apart), so the
socket is taken from under it once the head has been read. Where that can't be done, its `read1` is used.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

import requests
from gevent import get_hub
from urllib3.exceptions import HTTPError

SIZE = 65536  # bytes of one read
TAIL = 0.5  # s that the last chunk may take
SETTLE = 0.01  # s that the peer gets for closing behind it
READ = 1
NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)


class Framing(Protocol):
    """Takes the HTTP framing off the bytes of a body: see wire.http."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes: ...

    def close(self) -> None: ...


class Body:
    """Reads a response that was asked for with `stream=True`. Whoever has it must `close` or `release` it."""

    __slots__ = ("_first", "_framing", "_pending", "_raw", "_recv", "_sock", "_trouble", "_watcher")

    def __init__(self, response: requests.Response, framing: Framing) -> None:
        self._raw: Any = response.raw
        self._framing = framing
        head: Any = getattr(self._raw, "_fp", None)
        reader: Any = getattr(head, "fp", None)
        self._sock: socket.socket | None = getattr(getattr(reader, "raw", None), "_sock", None)
        self._first = b""
        self._trouble: Exception | None = None  # that pouring met, for `read`
        self._watcher: Any = None
        if self._sock is not None:
            self._first = _buffered(reader, self._sock)
            head.fp = reader.detach()  # a buffer of 8 KiB, a fifth of what an open stream takes
            self._sock.settimeout(None)
            self._pending: Callable[[], int] | None = getattr(self._sock, "pending", None)  # TLS
            # gevent's own recv tries before it waits.
            self._recv = getattr(self._sock, "_sock", self._sock).recv if self._pending is None else self._sock.recv

    def read(self, seconds: float | None = None) -> bytes:
        """What is there; waits if nothing is; b"" at the end.

        Raises ConnectionError where the body was cut, ValueError where its framing is broken, TimeoutError after
        so many seconds without a byte. By default it waits for ever: deadlines are kept elsewhere, because a
        time-out on the socket costs 7 µs each time.
        """
        if self._sock is None:
            return self._read_slowly()
        if self._trouble is not None:
            raise self._trouble
        if seconds is not None:
            self._sock.settimeout(max(seconds, 0.001))
        payload = b""
        while not payload and not self._framing.done:
            data = self._first or _receive(self._sock)
            self._first = b""
            payload = self._framing.feed(data) if data else self._end()
        return payload

    def pour(self, take: Callable[[bytes], bool], over: Callable[[BaseException | None], None]) -> bool:
        """From now on calls `take` from the event loop, where nothing may block, with each payload as it comes: no
        greenlet has to be there for it. This goes on until `take` gives False or `read` is to be asked, which is at
        the end and where the body is cut or broken: then it calls `over`, with what `take` raised. `cease` and
        `close` end it, too.

        False where there is nothing to wait for, or no gevent: then it's for `read` to go on at once.
        """
        if self._framing.done or self._sock is None or not hasattr(self._sock, "_read_event"):
            return False
        self._sock.settimeout(0)
        # These make no socket readable.
        while self._first or (self._pending is not None and self._pending()):
            if not self._pass_on(take):
                self._sock.settimeout(None)
                return False
        self._watcher = get_hub().loop.io(self._sock.fileno(), READ)
        self._watcher.start(self._readable, take, over)
        return True

    def cease(self) -> None:
        """Pours no more. Idempotent."""
        if self._watcher is not None and self._sock is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            self._sock.settimeout(None)

    def _readable(self, take: Callable[[bytes], bool], over: Callable[[BaseException | None], None]) -> None:
        try:
            if self._pass_on(take):
                return
        except BaseException as error:
            self.cease()
            over(error)
        else:
            self.cease()
            over(None)

    def _pass_on(self, take: Callable[[bytes], bool]) -> bool:
        """One read. False where `read` is to be asked for more."""
        try:
            data = self._first or self._recv(SIZE)
            if self._first:
                self._first = b""
            elif self._pending is not None and data and (more := self._pending()):
                data += self._recv(more)
            payload = self._framing.feed(data)
        except NOTHING_YET:
            return True
        except (OSError, ValueError) as error:
            self._trouble = error
            return False
        return (take(payload) if payload else data != b"") and not self._framing.done

    def beginning(self, limit: int, seconds: float) -> bytes:
        """At most `limit` bytes: what of a short body comes within so many seconds. Never raises."""
        deadline = time.monotonic() + seconds
        data = b""
        with contextlib.suppress(OSError, ValueError):
            while len(data) < limit and (left := deadline - time.monotonic()) > 0 and (more := self.read(left)):
                data += more
        return data[:limit]

    def release(self, tail: float = TAIL) -> None:
        """Gives the connection back for the next request, if the body ends within `tail` seconds; else closes it.

        May take tail + SETTLE seconds: to be called when everything has been delivered.
        """
        try:
            reusable = self._ends(tail) and self._stays_open()
        except BaseException:
            self.close()
            raise
        if not reusable:
            self.close()
            return
        # http.client takes no next request before it has seen this response closed.
        self._raw._fp.close()
        self._raw.release_conn()

    def close(self) -> None:
        """Closes the connection at once, whoever may be reading."""
        self.cease()
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self._raw.close()

    def _ends(self, tail: float) -> bool:
        """Whether the body's end, often in a packet of its own, is there or comes with nothing else before it."""
        with contextlib.suppress(OSError, ValueError):
            return not self.read(tail) and self._framing.done and not self._framing.rest
        return False

    def _stays_open(self) -> bool:
        # llama.cpp promises "Keep-Alive: timeout=5" and closes within 0.1 ms of the last chunk. The next question
        # would be lost on such a connection, and it can't be told from one that is being answered.
        if self._sock is None or self._raw._fp.will_close:
            return False
        try:
            self._sock.settimeout(SETTLE)
            self._sock.recv(1)
        except TimeoutError:
            return True
        except OSError:
            return False
        return False

    def _end(self) -> bytes:
        try:
            self._framing.close()
        except ValueError as error:
            raise ConnectionError(str(error)) from error
        return b""

    def _read_slowly(self) -> bytes:
        try:
            data: bytes = self._raw.read1(SIZE, decode_content=False)
        except (HTTPError, OSError) as error:
            raise ConnectionError(str(error)) from error
        return data


def _buffered(reader: Any, sock: socket.socket) -> bytes:
    """What was read beyond the head; it must not wait for more."""
    sock.settimeout(0)
    try:
        data: bytes = reader.read1(SIZE)
    except OSError:  # TLS says "nothing there" so; plain sockets give b""
        return b""
    return data


def _receive(sock: socket.socket) -> bytes:
    pending = getattr(sock, "pending", None)
    try:
        # gevent's own recv tries before it waits. Where bytes come a token at a time the vain try costs 4 µs; and an
        # upstream that always has more would let nobody else have a turn.
        wait: Any = getattr(sock, "_wait", None)
        if wait is not None and not (pending and pending()):
            wait(sock._read_event)  # type: ignore[attr-defined]
        data = sock.recv(SIZE)
        # What TLS has decrypted already makes no socket readable.
        if data and pending and (more := pending()):
            data += sock.recv(more)
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:  # TLS has errors of its own
        raise ConnectionError(str(error)) from error
    return data
