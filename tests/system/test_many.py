"""As many open answers as a worker takes, and clients that read a byte a second."""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from millstream.wire.sse import Decoder
from tests.system import crowd
from tests.system.clients import in_thread, until
from tests.system.crowd import Crowd
from tests.system.nginx import Nginx
from tests.system.server import DEADLINE, Server
from tests.system.test_ledger import rows_of

pytestmark = pytest.mark.system

FULL = 5000
OPENING = 64  # requests that wait for their first token at a time
ACCEPTS = ("text/event-stream", "text/plain", "application/x-ndjson")
SLOW, NORMAL = 50, 500
DIRECT, BEHIND_NGINX = 64, 320  # KiB of the kernel's memory for a slow reader, at most


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Readers:
    """Clients in one thread, in three formats by turns. `ended` are whole responses, with what was asked for."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._answers: dict[socket.socket, tuple[str, bytearray]] = {}
        self.ended: list[tuple[str, bytes]] = []

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._answers:
            sock.close()
        self._selector.close()

    def ask(self, ports: list[int], count: int, question: str) -> None:
        """Returns when each of them has its first token."""
        waiting = 0
        for number in range(count):
            sock = asking(ports[number % len(ports)], question, ACCEPTS[number % len(ACCEPTS)])
            self._answers[sock] = (ACCEPTS[number % len(ACCEPTS)], bytearray())
            self._selector.register(sock, selectors.EVENT_READ)
            waiting += 1
            while waiting >= OPENING or (waiting and number == count - 1):
                waiting -= self._read(b"0 ")

    def read(self) -> list[tuple[str, bytes]]:
        """All that is still to come, to every end."""
        while self._answers:
            self._read()
        return self.ended

    def _read(self, wanted: bytes = b"") -> int:
        """Gives how many have `wanted` now, and had not before."""
        have = 0
        events = self._selector.select(DEADLINE)
        assert events, f"nothing comes any more: {len(self._answers)} wait, {len(self.ended)} ended"
        for key, _ in events:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            accept, body = self._answers[sock]
            before = has(body, wanted)
            data = sock.recv(65536)
            body += data
            have += has(body, wanted) > before
            if not data or body.endswith(b"\r\n0\r\n\r\n"):
                self._selector.unregister(sock)
                sock.close()
                del self._answers[sock]
                self.ended.append((accept, bytes(body)))
        return have


def has(answer: bytearray, wanted: bytes) -> bool:
    return bool(wanted) and wanted in answer.partition(b"\r\n\r\n")[2]


def asking(port: int, question: str, accept: str, buffer: int = 0) -> socket.socket:
    """`buffer`: bytes of the client's SO_RCVBUF."""
    sock = socket.socket()
    sock.settimeout(DEADLINE)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", port))
    body = json.dumps({"prompt": question, "model": "emulated"}).encode()
    head = f"POST /chat HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    sock.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return sock


def text_of(accept: str, answer: bytes) -> str:
    """Of a whole answer; AssertionError if it is none."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer[:500]
    body = b""
    while not rest.startswith(b"0\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    if accept == "text/plain":
        return body.decode()
    if accept == "text/event-stream":
        events = [(event.type, json.loads(event.data)) for event in Decoder().feed(body)]
    else:
        events = [(value["type"], value) for value in map(json.loads, filter(None, body.split(b"\n")))]
    assert (events[0][0], events[-1][0]) == ("start", "done")
    return "".join(data["text"] for type, data in events if type == "message")


def test_five_thousand_open_answers_on_one_worker_and_the_next_one_is_told_when_to_come():
    with Crowd() as upstream, Server({"emulated": upstream.table}, max_streams=FULL) as server, Readers() as readers:
        (worker,) = server.worker_pids()
        empty = psutil.Process(worker).memory_info().rss
        readers.ask([server.port], FULL, "tokens=3 hold")
        assert not readers.ended
        each = (psutil.Process(worker).memory_info().rss - empty) / FULL / 1024
        began = time.monotonic()
        assert server.get("/healthz")[0] == 200
        assert time.monotonic() - began < 5
        assert server.get("/readyz") == (503, b'{"status":"full"}\n')
        connection = server.connect()
        connection.request("POST", "/chat", '{"prompt": "tokens=3"}', {"Content-Type": "application/json"})
        refused = connection.getresponse()
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert json.loads(refused.read())["error"]["code"] == "full"
        connection.close()
        upstream.go()
        assert {text_of(*answer) for answer in readers.read()} == {crowd.text(3, 8)}
        assert len(readers.ended) == FULL
        until(lambda: server.get("/readyz")[0] == 200)
        print(f"{each:.1f} KiB for each open answer")
        assert each < 100
        assert "Traceback" not in server.text()


# -- readers of a byte a second ---------------------------------------------------------------------------------


class Slow:
    """Clients with small buffers, each reading a byte a second, in a thread."""

    def __init__(self, port: int, count: int, question: str) -> None:
        self._socks = [asking(port, question, "text/event-stream", buffer=4096) for _ in range(count)]
        self.ports = {sock.getsockname()[1] for sock in self._socks}
        self._over = threading.Event()
        self.bytes = 0
        self._reading = in_thread(self._read)

    def _read(self) -> None:
        while not self._over.wait(1):
            for sock in self._socks:
                assert sock.recv(1), "it was cut"
                self.bytes += 1

    def stop(self) -> None:
        self._over.set()
        self._reading.result(DEADLINE)
        for sock in self._socks:
            sock.close()


def kernel_memory() -> Iterator[tuple[int, int, int]]:
    """For each end of a connection its port, the other end's, and KiB that the kernel holds for it: what waits to be
    sent and to be read, and what is set aside for that (skmem in ss(8))."""
    found = subprocess.run(["ss", "-tmnHO", "state", "established"], capture_output=True, text=True, check=True)
    for line in found.stdout.splitlines():
        here, there = (int(end.rpartition(":")[2]) for end in line.split()[2:4])
        fields = dict(re.findall(r"([a-z]+)(\d+)", line.partition("skmem:(")[2]))
        yield here, there, sum(int(fields[name]) for name in ("r", "f", "w", "bl")) // 1024


def test_fifty_readers_of_a_byte_a_second_cost_little_and_harm_nobody():
    with (
        Crowd() as upstream,
        Server({"emulated": upstream.table}, open=1, trusted_proxies=1) as server,
        Nginx(server.port) as nginx,
        Readers() as normal,
    ):
        direct, behind = (Slow(port, SLOW // 2, "tokens=4000 size=250") for port in (server.port, nginx.port))
        normal.ask([server.port, nginx.port], NORMAL, "tokens=40 every=0.1")
        assert {text_of(*answer) for answer in normal.read()} == {crowd.text(40, 8)}
        assert len(normal.ended) == NORMAL
        until(lambda: len(rows_of(server)) == SLOW + NORMAL)  # the slow ones' answers are all made, too
        assert direct.bytes and behind.bytes
        ends = list(kernel_memory())
        to_nginx = {there for here, there, _ in ends if here == server.port} - direct.ports
        for_direct = sum(size for here, there, size in ends if here == server.port and there in direct.ports)
        for_nginx = sum(
            size
            for here, there, size in ends
            if here == nginx.port or (here == server.port and there in to_nginx) or here in to_nginx
        )
        print(f"a slow reader: {for_direct / 25:.0f} KiB, through nginx {for_nginx / 25:.0f} KiB")
        assert 0 < for_direct < DIRECT * SLOW / 2
        assert 0 < for_nginx < BEHIND_NGINX * SLOW / 2
        direct.stop()
        behind.stop()
        assert "Traceback" not in server.text()
