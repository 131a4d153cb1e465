"""Plain sockets to a Server, and an upstream that stands still where a test wants it to."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server

NEVER = 3600  # s
SETTLE = 5.0  # s
POST = (
    b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: %d\r\n%b\r\n%b"
)


def ask(server: Server, path: str, close: bool = False) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), DEADLINE)
    body = b"prompt=Hi"
    sock.sendall(POST % (path.encode(), len(body), b"Connection: close\r\n" if close else b"", body))
    return sock


def fetch(server: Server, path: str) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), DEADLINE)
    sock.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
    return sock


def fin(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)  # closing it with something unread would be a reset


def rst(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_until(sock: socket.socket, wanted: bytes, data: bytes = b"") -> bytes:
    while wanted not in data:
        more = sock.recv(65536)
        assert more, f"the connection ended before {wanted!r}: {data!r}"
        data += more
    return data


def stream_id(head: bytes) -> str:
    """From Content-Location or Location."""
    match = re.search(rb"Location: /streams/([\w-]{22})", head)
    assert match
    return match[1].decode()


def poll(server: Server, id: str, after: int = 0) -> dict:
    return json.loads(server.get(f"/streams/{id}?format=json&after={after}")[1])


def final(server: Server, id: str) -> dict:
    after, until = 0, time.monotonic() + DEADLINE
    while time.monotonic() < until:
        answer = poll(server, id, after)
        if answer["events"] and answer["events"][-1]["type"] in ("done", "failed"):
            return answer["events"][-1]
        after = answer["last"]
    raise AssertionError("it did not end")


@contextmanager
def held(upstream: Emulator, phase: str) -> Iterator[Callable[[], bool]]:
    """The upstream stands still in this phase: "headers" (before them), "first token" or "mid-answer".

    Gives the function that waits until it does."""
    upstream.wait(lambda: not upstream.busy, SETTLE)  # what an earlier test let go may still send a token
    asked, sent = len(upstream.asked), upstream.sent
    upstream.before_headers = NEVER if phase == "headers" else 0
    upstream.gate = gate = threading.Event()
    upstream.gate_at = 3 if phase == "mid-answer" else 0
    try:
        yield lambda: upstream.wait(
            lambda: len(upstream.asked) == asked + 1 and upstream.sent == sent + upstream.gate_at
        )
    finally:
        gate.set()
        upstream.before_headers, upstream.gate = 0, None
