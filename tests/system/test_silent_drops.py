"""A client whose packets vanish without a word: through our nginx.conf and the sysctl of deploy/."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from millstream.doctor import examination
from tests.system.hosts import SERVER, Wire
from tests.system.nginx import Nginx
from tests.system.server import Server

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="only root makes network namespaces"),
]

LINES = (Path(__file__).resolve().parents[2] / "deploy" / "60-millstream.conf").read_text("utf-8")
LIMIT = 25.0  # s: about 14 are meant; without these lines it is not over in 32
OPEN = re.compile(rb"^millstream_responses_open\{.*\} ([0-9]+)\.0$", re.M)


class Outside(Nginx):
    """It listens to the other host, too."""

    def text(self) -> str:
        return super().text().replace(f"listen 127.0.0.1:{self.port} ", f"listen {self.port} ")


def ask(port: int, model: str) -> socket.socket:
    sock = socket.create_connection((SERVER, port), 30)
    body = f'{{"prompt":"x","model":"{model}"}}'
    head = "POST /chat HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
    sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    while b"event: start" not in sock.recv(65536):
        pass
    return sock


def noted() -> list[str]:
    """What the doctor says of this host's kernel."""
    return [note.symptom for note in examination._notes([], secure=False)]


def test_an_idle_and_a_flowing_client_that_vanish_are_let_go() -> None:
    with Wire() as wire:
        with wire.on("server"):
            assert noted() == ["vanished"]
        for name, value in re.findall(r"^(net\.ipv4\.\S+) = (\d+)$", LINES, re.M):
            wire.set("server", name, int(value))
        with wire.on("server"), Server(open=1, trusted_proxies=1) as server, Outside(server.port) as nginx:
            assert noted() == []

            def left() -> int:
                return sum(int(number) for number in OPEN.findall(server.get("/metrics")[1]))

            with wire.on("client"):
                clients = [ask(nginx.port, model) for model in ("demo?pace=20&tokens=9999", "demo?hold=100")]
            with closing(clients[0]), closing(clients[1]):
                assert left() == 2
                wire.swallow()
                since = time.monotonic()
                while left() and time.monotonic() - since < LIMIT:
                    time.sleep(0.2)
                assert left() == 0
                print(f"let go after {time.monotonic() - since:.1f} s")
