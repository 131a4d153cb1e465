"""A TCP proxy that cuts a connection right behind, or right before, what a test names."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.system.readable import readable

DEADLINE = 60.0  # s


class Cutter:
    """`with Cutter(port, [b"word3 ", b"word20 "]) as cutter:` relays from cutter.port to `port`.

    Each place cuts one connection whose first line has one of `asking`: when the response has the place, everything
    up to and with it is passed on, and both sides are closed. b"" cuts when the response begins, before its first
    byte. `held`: closed at the next `close_next`, when the page has what was passed on.
    """

    def __init__(
        self, port: int, places: list[bytes], asking: tuple[bytes, ...] = (b" /chat",), held: bool = False
    ) -> None:
        self.backend = port
        self.asking = asking
        self.places = list(places)
        self.cut = 0  # connections
        self._closings = threading.Semaphore(0) if held else None

    def __enter__(self) -> Cutter:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close_next(self) -> None:
        assert self._closings
        self._closings.release()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with suppress(ConnectionError):  # one side has left while the other was speaking
            self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        place, response = None, b""
        with client, socket.create_connection(("127.0.0.1", self.backend), DEADLINE) as server:
            client.settimeout(DEADLINE)
            while True:
                if not (ready := readable(client, server, seconds=DEADLINE)):
                    return  # a browser keeps idle connections for minutes
                sender = ready[0]
                if not (data := sender.recv(65536)):
                    return
                if sender is client:
                    line = data.split(b"\r\n")[0]
                    if self.places and any(word in line for word in self.asking):
                        place, response = self.places.pop(0), b""
                    server.sendall(data)
                    continue
                passed, response = len(response), response + data
                if place is not None and place in response:
                    client.sendall(response[passed : response.index(place) + len(place)])
                    if self._closings:
                        self._closings.acquire(timeout=DEADLINE)
                    self.cut += 1
                    return
                client.sendall(data)
