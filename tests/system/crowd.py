"""An upstream for thousands of answers at once, in a process of its own: `with Crowd() as crowd:`, as Emulator.

A question says what its answer is like: "tokens=N every=SECONDS size=BYTES"; with "hold" in it, all but the first
token waits for `crowd.go()`; with "mute" there is no answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import ssl
import subprocess
import sys
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
AT_ONCE = 64  # tokens of one write, where they have no pace
ROOT = Path(__file__).resolve().parents[2]


class Crowd:
    """`pem` has the certificate and the key of one that speaks TLS."""

    def __init__(self, pem: Path | None = None) -> None:
        self._pem = pem

    def __enter__(self) -> Crowd:
        command = [sys.executable, "-m", "tests.system.crowd", *([str(self._pem)] if self._pem else [])]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)  # it ends when it has nobody to listen to

    @property
    def table(self) -> dict[str, object]:
        trusted = {"ca_file": str(self._pem)} if self._pem else {}
        url = f"http{'s' if self._pem else ''}://127.0.0.1:{self.port}/v1"
        return {"kind": "openai", "base_url": url, "models": ["emulated"], **trusted}

    def go(self) -> None:
        assert self._process.stdin
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()


def text(tokens: int, size: int) -> str:
    return "".join(token(n, size) for n in range(tokens))


def token(n: int, size: int) -> str:
    return f"{n} ".ljust(size, ".")


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _frame(value: object) -> bytes:
    return _chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


class _Answers(asyncio.Protocol):
    """One connection."""

    held: set[_Answers] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._paused = False

    def connection_lost(self, error: Exception | None) -> None:
        self.held.discard(self)
        self._tokens = -1

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self._every:
            self.go_on()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        if not end or not length or len(body) < int(length[1]):
            return
        self._received = b""
        question = json.loads(body)["messages"][-1]["content"]
        asked = dict(re.findall(r"(\w+)=([\d.]+)", question))
        self._tokens, self._size = int(asked["tokens"]), int(asked.get("size", 8))
        self._every = float(asked.get("every", 0))
        self._sent = 0
        if "mute" in question:
            return
        self._transport.write(HEAD)
        if "hold" in question:
            self._write(1)
            self.held.add(self)
        else:
            self.go_on()

    def go_on(self) -> None:
        while not self._paused and self._sent < self._tokens:
            self._write(1 if self._every else AT_ONCE)
            if self._every:
                asyncio.get_running_loop().call_later(self._every, self.go_on)
                return
        if self._sent == self._tokens:
            self._tokens = -1
            end = _frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._transport.write(end + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _write(self, most: int) -> None:
        upto = min(self._tokens, self._sent + most)
        self._transport.write(
            b"".join(
                _frame({"choices": [{"index": 0, "delta": {"content": token(n, self._size)}}]})
                for n in range(self._sent, upto)
            )
        )
        self._sent = upto


async def _serve() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def told() -> None:
        if not sys.stdin.buffer.readline():
            over.set()
        while _Answers.held:
            _Answers.held.pop().go_on()

    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
    server = await loop.create_server(_Answers, "127.0.0.1", 0, backlog=1024, ssl=context)
    loop.add_reader(sys.stdin.fileno(), told)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
