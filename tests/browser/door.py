"""A door between browser and server that a test shuts, or answers at itself."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http import HTTPStatus

from tests.system.readable import readable

DEADLINE = 60.0  # s
WORDS = {status.value: status.phrase for status in HTTPStatus}


class Door:
    """`with Door(port) as door:` relays from door.port to `port`.

    `says("/chat", 429, code="requests", retry_after=3)` answers one request to an address that begins so, instead of
    the server. `forget()` takes back what was not asked for.
    `shut()` cuts all connections and takes no new ones until `open()`.
    """

    def __init__(self, port: int) -> None:
        self.backend = port
        self._said: list[tuple[bytes, bytes]] = []
        self._shut = threading.Event()
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> Door:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def says(
        self, path: str, status: int, code: str = "", message: str = "So says the door.", **headers: object
    ) -> None:
        body = json.dumps({"error": {"message": message, "type": "t", "code": code, "param": None}}).encode()
        body = b"" if status == 204 else body
        lines = [f"HTTP/1.1 {status} {WORDS[status]}", "Content-Type: application/json", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
        self._said.append((f" {path}".encode(), "\r\n".join([*lines, "", ""]).encode() + body))

    def shut(self) -> None:
        self._shut.set()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self._shut.clear()

    def forget(self) -> None:
        self._said.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._shut.is_set():
                client.close()
                continue
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        self._connections.add(client)
        # One side may leave while the other speaks; the server may be away.
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.backend), DEADLINE) as server:
            while True:
                sender = next(iter(readable(client, server, seconds=DEADLINE)), client)
                if not (data := sender.recv(65536)):
                    break
                if sender is client and (answer := self._answer(data.split(b"\r\n")[0])):
                    self._take_in(client, data)
                    client.sendall(answer)
                    break
                (server if sender is client else client).sendall(data)
        self._connections.discard(client)

    def _answer(self, line: bytes) -> bytes | None:
        for said in self._said:
            if said[0] in line:
                self._said.remove(said)
                return said[1]
        return None

    @staticmethod
    def _take_in(client: socket.socket, data: bytes) -> None:
        """The rest of the request: a connection closed with bytes unread is reset, and its answer lost."""
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while lengths and len(body) < int(lengths[0]):
            body += client.recv(65536)
