"""An OpenAI-compatible server that a test leads: it counts what it is asked and sees who leaves."""

from __future__ import annotations

import json
import socket
import threading
import time

from tests.system.readable import readable

DEADLINE = 60.0  # s
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Emulator:
    """`with Emulator(tokens=[…], pace=0.02) as upstream:` answers on upstream.port, in threads.

    `before_headers`, `gate` (a threading.Event before the token numbered `gate_at`, -1 for the last one) and
    `cut_after` (tokens, then the connection is closed without an end) are read anew for each request.
    """

    host = "127.0.0.1"

    def __init__(self, tokens: list[str] | None = None, pace: float = 0.0) -> None:
        self.tokens = tokens if tokens is not None else [f"word{n} " for n in range(50)]
        self.pace = pace
        self.finish = "stop"
        self.model = "emulated-1"
        self.before_headers = 0.0
        self.gate: threading.Event | None = None
        self.gate_at = -1
        self.cut_after: int | None = None
        self.asked: list[dict] = []
        self.sent = 0  # tokens, over all requests
        self.left = 0  # requests whose client closed before the end
        self.busy = 0  # requests that are being answered
        self.changed = threading.Condition()
        self._stopping = threading.Event()

    def __enter__(self) -> Emulator:
        self._listener = socket.create_server((self.host, 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self.gate:
            self.gate.set()
        self._listener.close()

    @property
    def table(self) -> dict[str, object]:
        """The settings of an upstream that asks here."""
        return {"kind": "openai", "base_url": f"http://{self.host}:{self.port}/v1", "models": ["emulated"]}

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    def wait(self, what, timeout: float = DEADLINE) -> bool:
        """Until what() is true; it is looked at after each change."""
        with self.changed:
            return self.changed.wait_for(what, timeout)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := self._read(connection):
                    self._count(asked=request, busy=1)
                    try:
                        if not self._answer(connection):
                            return
                    except OSError:
                        self._count(left=1)  # while it is busy, for whoever waits until it isn't
                        return
                    finally:
                        self._count(busy=-1)
            except OSError:
                self._count(left=1)

    def _count(self, asked: dict | None = None, sent: int = 0, left: int = 0, busy: int = 0) -> None:
        with self.changed:
            if asked is not None:
                self.asked.append(asked)
            self.sent += sent
            self.left += left
            self.busy += busy
            self.changed.notify_all()

    @staticmethod
    def _read(connection: socket.socket) -> dict | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            if not (more := connection.recv(65536)):
                return None
            body += more
        return json.loads(body)

    def _answer(self, connection: socket.socket) -> bool:
        if not self._pause(connection, self.before_headers):
            return False
        connection.sendall(HEAD)
        gate = self.gate  # a test may take it away
        gate_at = self.gate_at % len(self.tokens) if self.tokens else 0
        for number, token in enumerate(self.tokens):
            if gate is not None and number == gate_at:
                while not gate.wait(0.02):
                    if not self._pause(connection, 0):
                        return False
            if self.cut_after is not None and number >= self.cut_after:
                return False
            if not self._pause(connection, self.pace):
                return False
            self._send(connection, {"choices": [{"index": 0, "delta": {"content": token}, "finish_reason": None}]})
            self._count(sent=1)
        self._send(connection, {"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
        usage = {"prompt_tokens": 3, "completion_tokens": len(self.tokens), "total_tokens": 3 + len(self.tokens)}
        self._send(connection, {"choices": [], "usage": usage})
        self._chunk(connection, b"data: [DONE]\n\n")
        connection.sendall(b"0\r\n\r\n")
        return True

    def _pause(self, connection: socket.socket, seconds: float) -> bool:
        """Waits; False, and counted, if the client leaves meanwhile."""
        until = time.monotonic() + seconds
        while True:
            if readable(connection, seconds=until - time.monotonic()) and connection.recv(1, socket.MSG_PEEK) == b"":
                self._count(left=1)
                return False
            if time.monotonic() >= until or self._stopping.is_set():
                return True

    def _send(self, connection: socket.socket, frame: dict) -> None:
        self._chunk(connection, b"data: " + json.dumps({"model": self.model, **frame}).encode() + b"\n\n")

    @staticmethod
    def _chunk(connection: socket.socket, data: bytes) -> None:
        connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
