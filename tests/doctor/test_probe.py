"""A doctor that is sent to an address where something else is."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest

from millstream.doctor import probe as room
from millstream.doctor.marks import Plan
from millstream.doctor.probe import MOST, Probe, Target, follow

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%bConnection: close\r\n\r\n"


@pytest.fixture
def endless() -> Iterator[object]:
    """Serves one connection: a head, and then a piece again and again, so many seconds apart."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(head: bytes, piece: bytes, pause: float) -> None:
            peer, _ = listening.accept()
            with peer, suppress(OSError):
                peer.sendall(head)
                while True:
                    peer.sendall(piece)
                    time.sleep(pause)

        threads: list[threading.Thread] = []

        def start(*what: object) -> Target:
            threads.append(threading.Thread(target=serve, args=what, daemon=True))
            threads[0].start()
            return Target(f"http://127.0.0.1:{listening.getsockname()[1]}")

        yield start
        threads[0].join(30)
        assert not threads[0].is_alive()


@cache
def zeros():
    return gzip.compress(bytes(50 << 20))


@pytest.mark.parametrize("format", ["text", "sse", "json"])
@pytest.mark.parametrize(
    ("coding", "piece", "pause", "says"),
    [
        (b"", lambda: b"x" * 65536, 0, "longer than"),
        (b"Content-Encoding: gzip\r\n", zeros, 0, "longer than"),
        (b"", lambda: b"x", 0.05, "not ended after"),
    ],
)
def test_what_has_no_end_is_let_go(endless, monkeypatch, format, coding, piece, pause, says):
    monkeypatch.setattr(room, "PATIENCE", 1.0)
    probe = Probe(Plan(number=1, lead=0), format, "1.1")
    follow(probe, endless(HEAD % coding, piece(), pause), "id", time.monotonic())
    assert says in probe.error and not probe.whole
    assert len(probe.body) < 2 * MOST
