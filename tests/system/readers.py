"""Many clients in one thread, in three formats by turns. They read a Crowd's answers."""

from __future__ import annotations

import json
import re
import selectors
import socket
from dataclasses import dataclass, field

from millstream.wire.sse import Decoder
from tests.system import crowd

DEADLINE = 60.0  # s
OPENING = 64  # requests that wait for their first token at a time
ACCEPTS = ("text/event-stream", "text/plain", "application/x-ndjson")


def asking(port: int, question: str, accept: str, buffer: int = 0) -> socket.socket:
    """A connection on which the question was asked. `buffer`: bytes of the client's SO_RCVBUF."""
    sock = socket.socket()
    sock.settimeout(DEADLINE)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", port))
    body = json.dumps({"prompt": question, "model": "emulated"}).encode()
    head = f"POST /chat HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    sock.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return sock


@dataclass
class Answer:
    question: str
    accept: str
    received: bytearray = field(default_factory=bytearray)
    begun: bool = False

    def hear(self, data: bytes) -> None:
        self.received += data
        self.begun = self.begun or b"0 " in self.received.partition(b"\r\n\r\n")[2]

    @property
    def id(self) -> str:
        found = re.search(rb"\r\nContent-Location: /streams/(\S+)", self.received)
        assert found, self.received[:500]
        return found[1].decode()

    def check(self) -> None:
        """Raise AssertionError if the answer is not complete, or a number is missing or repeated."""
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and rest.endswith(b"\r\n0\r\n\r\n"), (head, rest[-200:])
        body = b""
        while not rest.startswith(b"0\r\n"):
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        tokens = int(re.findall(r"tokens=(\d+)", self.question)[0])
        if self.accept == "text/plain":
            assert body.decode() == crowd.text(tokens, 8)
            return
        if self.accept == "text/event-stream":
            found = [(event.type, json.loads(event.data), event.id) for event in Decoder().feed(body)]
            events = [(type, data, int(id.rpartition(".")[2])) for type, data, id in found]
        else:
            values = [json.loads(line) for line in filter(None, body.split(b"\n"))]
            events = [(value["type"], value, value.get("n", 0)) for value in values]
        assert [n for _, _, n in events] == list(range(tokens + 2))
        assert [type for type, _, _ in events] == ["start", *["message"] * tokens, "done"]
        assert "".join(data["text"] for _, data, _ in events[1:-1]) == crowd.text(tokens, 8)


class Readers:
    """`running` are being read, `ended` have been."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.running: dict[socket.socket, Answer] = {}
        self.ended: list[Answer] = []
        self.asked = 0

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.running:
            sock.close()
        self._selector.close()

    def ask(self, port: int, question: str) -> None:
        answer = Answer(question, ACCEPTS[self.asked % len(ACCEPTS)])
        sock = asking(port, question, answer.accept)
        self.running[sock] = answer
        self._selector.register(sock, selectors.EVENT_READ)
        self.asked += 1

    def ask_all(self, ports: list[int], count: int, question: str) -> None:
        """Returns when each of them has its first token."""
        begun = 0
        for number in range(count):
            self.ask(ports[number % len(ports)], question)
            while number + 1 - begun >= OPENING or (number + 1 == count > begun):
                begun += self.read_some()

    def read_all(self) -> None:
        """Read all answers to their end."""
        while self.running:
            self.read_some()

    def read_some(self) -> int:
        """Waits for something. Gives how many have begun by it."""
        begun = 0
        ready = self._selector.select(DEADLINE)
        assert ready, f"nothing comes any more: {len(self.running)} wait, {len(self.ended)} have ended"
        for key, _ in ready:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            answer = self.running[sock]
            before = answer.begun
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            answer.hear(data)
            begun += answer.begun > before
            if not data or answer.received.endswith(b"\r\n0\r\n\r\n") or b"\r\nContent-Length: " in answer.received:
                self._selector.unregister(sock)
                sock.close()
                self.ended.append(self.running.pop(sock))
        return begun
