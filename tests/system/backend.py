"""A server of one page that does on its sockets exactly what a test says."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator

DEADLINE = 30.0  # s
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Exchange:
    """A request, and the socket to answer it on."""

    def __init__(self, sock: socket.socket, request: bytes) -> None:
        self.sock = sock
        self.request = request
        head = request.split(b"\r\n\r\n")[0].decode().split("\r\n")
        self.line = head[0]
        pairs = (line.split(": ", 1) for line in head[1:])
        self.headers = {name.lower(): value for name, value in pairs}

    def begin(self, extra: bytes = b"") -> None:
        self.sock.sendall(HEAD + extra + b"\r\n")

    def send(self, data: bytes) -> None:
        self.sock.sendall(chunk(data))

    def finish(self) -> None:
        self.sock.sendall(b"0\r\n\r\n")
        self.close()

    def close(self) -> None:
        self.sock.close()

    def wait_for_leave(self) -> bool:
        """Return True if the other side closed within the deadline."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


class Backend:
    """`with Backend() as backend:` `backend.next()` gives the next request, as an Exchange."""

    def __enter__(self) -> Backend:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._exchanges: queue.Queue[Exchange] = queue.Queue()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)
        for sock in self._open:
            sock.close()

    def next(self) -> Exchange:
        return self._exchanges.get(timeout=DEADLINE)

    def _accept(self) -> None:
        for sock in self._connections():
            self._open.append(sock)
            sock.settimeout(DEADLINE)
            request = b""
            while b"\r\n\r\n" not in request:
                data = sock.recv(65536)
                if not data:
                    break
                request += data
            else:
                self._exchanges.put(Exchange(sock, request))

    def _connections(self) -> Iterator[socket.socket]:
        while True:
            try:
                yield self._listener.accept()[0]
            except OSError:
                return
