"""The soak's clients: tests/system/clients.py's, whose connections are cut now and then, and who come back."""

from __future__ import annotations

import random
import socket
import struct
import time
from array import array
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Any

from millstream.errors import CODES
from tests.system import clients

PATIENCE = 60.0  # s for one answer
PAUSE = 0.3  # s before a client comes back that was told to
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class Refused(Exception):
    """The answer ended with a status."""


class _Response(clients.Response):
    asker: Any

    def begin(self) -> None:
        super().begin()
        self.asker.note(f"status {self.status}")
        if self.status >= 500:
            if self.headers["Retry-After"]:  # the store is away, or nginx has lost its worker
                self.asker.pause = PAUSE
                raise HTTPException("come back")
            raise Refused(self.status)

    def read1(self, n: int = -1) -> bytes:
        self.asker.maybe_cut()
        read = super().read1(n)
        self.asker.reads.append(time.monotonic())
        return read

    def read(self, amt: int | None = None) -> bytes:
        self.asker.maybe_cut()
        return super().read(amt)


class Asker:
    """One question. `run` it; then `check` what it got. `rate`: how often a read of it is cut."""

    def __init__(self, seed: object, number: int, doors: list[int], rate: float, tokens: int, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.pause = 0.0
        self.cuts = 0
        self.began = self.ended = 0.0
        self.seen: list[tuple[float, str]] = []  # what befell it, by the monotonic clock
        self.reads = array("d")  # when each read was done
        self._random = random.Random(f"{seed} {number}")
        self._doors = doors
        self.logged = ""
        self._rate = rate
        self.whole = "".join(token(number, n) for n in range(tokens))
        self._sock: socket.socket | None = None
        format = self._random.choice(FORMATS)
        self.client = format(0, f"{number} {kind} {self._random.uniform(0.8, 4) / tokens:.3f}")
        self._client(self.client)

    def _client(self, client: clients.Client) -> clients.Client:
        client.open = self._open  # type: ignore[method-assign]
        return client

    def _open(self) -> HTTPConnection:
        """To any of the doors: whoever comes back is sent elsewhere."""
        connection = HTTPConnection("127.0.0.1", self._random.choice(self._doors), timeout=clients.DEADLINE)
        self.note(f"connects to port {connection.port}, with {len(self.client.events)} events of {self.client.id}")
        connection.response_class = type("Response", (_Response,), {"asker": self})
        connection.connect()
        self._sock = connection.sock
        return connection

    def note(self, what: str) -> None:
        self.seen.append((time.monotonic(), what))

    def maybe_cut(self) -> None:
        if self._random.random() >= self._rate:
            return
        self.cuts += 1
        self.note("is cut")
        if self._random.random() < 0.5 and self._sock:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raise ConnectionResetError("cut by the soak")

    def run(self) -> Asker:
        self.began = time.monotonic()
        try:
            self._to_its_end(self.client)
        except Refused as refused:
            self.client.failure = str(refused)
        self.ended = time.monotonic()
        return self

    def _to_its_end(self, client: clients.Client) -> None:
        until = time.monotonic() + PATIENCE
        while not client.ended:
            assert time.monotonic() < until, f"no end after {client.connections} connections"
            self.pause = 0.0
            client.once()
            refused = client.failure == "store_unavailable" or (self.pause and not client.text)
            if refused and client is self.client:
                # It was refused after all, before the first token: the key finds the stream there is, or begins one.
                client.id, client.events, client.failure, client.ended = "", [], "", False
            time.sleep(self.pause)

    def __str__(self) -> str:
        return (
            f"question {self.number} ({type(self.client).__name__}, {self.kind}, {self.cuts} cuts,"
            f" {self.client.connections} connections, {self.began:.1f} to {self.ended:.1f}, {self.client.id})"
        )

    @property
    def status(self) -> str:
        """ "" for an answer that is whole."""
        failure = self.client.failure
        return str(CODES[failure][0]) if failure in CODES else failure

    def check(self) -> None:
        """Raises AssertionError where something is missing, twice, in disorder, or not what the log has."""
        client = self.client
        assert self.whole.startswith(client.text), f"not what the model said: {client.text!r}"
        assert self.status or client.text == self.whole, f"it ended well, with {len(client.text)} characters"
        first = 1 if client.NUMBERED else 0
        assert [n for n, _, _ in client.events] == list(range(first, len(client.events) + first)), client.events
        if not client.id:
            assert self.status and not client.text
            return
        log = self._client(clients.Polling(0, ""))
        log.id, rate = client.id, self._rate
        self._rate = 0.0
        try:
            self._to_its_end(log)
        finally:
            self._rate = rate
        if not client.NUMBERED or isinstance(client, clients.Waiting):
            assert log.text == client.text, f"the log has {log.events[-3:]}, the client {client.text[-30:]!r}"
            self.logged = log.text
        else:
            assert log.events == client.events, f"the log has {log.events[len(client.events) - 1 :]}"
            self.logged = client.text


FORMATS: list[type[clients.Client]] = [
    clients.Sse,
    clients.EventSource,
    clients.Ndjson,
    clients.Text,
    clients.Text,
    clients.Polling,
    clients.Waiting,
    clients.Responses,
    clients.Chat,
]


def token(number: int, n: int) -> str:
    return f"{number}.{n} 🌊 "


def formats(askers: list[Asker]) -> Counter[str]:
    return Counter(type(asker.client).__name__ for asker in askers)
