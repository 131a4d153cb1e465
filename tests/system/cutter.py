"""A TCP proxy that cuts connections, at random places that a seed decides."""

from __future__ import annotations

import random
import socket
import struct
import threading

from tests.system.readable import readable

DEADLINE = 60.0  # s
HEAD_END = b"\r\n\r\n"
TYPICAL = 250.0  # bytes of a body that come through before a cut, on average
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Cutter:
    """`with Cutter(port, seed, cuts=12) as cutter:` listens on cutter.port and relays to `port`, one connection
    after the other. It cuts until it has done so `cuts` times, each time when there was more to come; `done`
    counts them. Some cuts come before the head, some within it, most within the body; half are resets."""

    def __init__(self, port: int, seed: object, cuts: int) -> None:
        self.backend = port
        self.cuts = cuts
        self.done = 0
        self._random = random.Random(str(seed))

    def __enter__(self) -> Cutter:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self.backend), DEADLINE) as server:
                client.settimeout(DEADLINE)
                try:
                    if self._relay(client, server):
                        self.done += 1
                        self._break(client)
                        self._break(server)
                except OSError:
                    pass  # one of the two was faster

    def _relay(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass on one request and its response. Return True if the connection must be cut now."""
        server.sendall(_request(client))
        place, size = self._place() if self.done < self.cuts else ("nowhere", 0)
        if place == "request":
            return True
        received, sent = b"", 0
        while data := _next(client, server):
            received += data
            head = received.find(HEAD_END) + len(HEAD_END)
            if head < len(HEAD_END):
                continue
            limits = {"head": min(size, head - 1), "body": head + size}
            upto = min(len(received), limits.get(place, len(received)))
            client.sendall(received[sent:upto])
            sent = upto
            if sent < len(received):
                return True
        return False

    def _place(self) -> tuple[str, int]:
        """Choose where to cut: after the request, or after some bytes of the response's head or body."""
        kind = self._random.random()
        if kind < 0.08:
            return "request", 0
        if kind < 0.25:
            return "head", self._random.choice([0, self._random.randrange(400)])
        return "body", int(self._random.expovariate(1 / TYPICAL))

    def _break(self, sock: socket.socket) -> None:
        if self._random.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()


def _next(client: socket.socket, server: socket.socket) -> bytes:
    """Return the server's next bytes; nothing if either side has left."""
    return server.recv(65536) if server in readable(client, server, seconds=DEADLINE) else b""


def _request(client: socket.socket) -> bytes:
    """The whole request that a client sends, its body too."""
    data = b""
    while HEAD_END not in data:
        if not (more := client.recv(65536)):
            raise ConnectionError("the client sent no request")
        data += more
    head, _, body = data.partition(HEAD_END)
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    missing = int(lengths[0] if lengths else 0) - len(body)
    while missing > 0:
        if not (more := client.recv(missing)):
            raise ConnectionError("the client sent half a request")
        data, missing = data + more, missing - len(more)
    return data
