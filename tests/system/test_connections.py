"""Many connections: idle ones, more than there are descriptors for, and one whose client has vanished."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.server import Server

pytestmark = pytest.mark.system


def connected(server: Server, many: int, stack: ExitStack) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection((server.host, server.port))) for _ in range(many)]


def test_connections_that_ask_nothing_keep_nobody_out(monkeypatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 50")
    with Server() as server, ExitStack() as stack:
        idle = connected(server, 200, stack)
        began = time.monotonic()
        assert server.get("/healthz")[0] == 200
        assert time.monotonic() - began < 10  # a connection's limit is 30 s
        assert idle[0].recv(1) == b""
        waiting = idle[-1]
        waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in waiting.recv(100)


def test_a_running_answer_is_no_idle_connection(monkeypatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 20")
    with Server() as server, ExitStack() as stack:
        answer = server.connect()
        answer.request(
            "POST", "/chat", b'{"prompt":"x","model":"demo?tokens=20&pace=10"}', {"Content-Type": "application/json"}
        )
        connected(server, 60, stack)
        assert answer.getresponse().read().endswith(b" a token")
        answer.close()


def test_without_descriptors_there_is_one_line_in_the_log_and_service_goes_on() -> None:
    server = Server()
    server.within = ("prlimit", "--nofile=70:70")
    with server, ExitStack() as stack:
        connected(server, 120, stack)
        assert server.get("/healthz")[0] == 200
    assert server.text().count("no new connection can be taken") == 1
    assert "Traceback" not in server.text()


def test_clients_sockets_are_kept_alive() -> None:
    with Server() as server, ExitStack() as stack:
        mine = connected(server, 1, stack)[0]
        mine.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        mine.recv(1000)
        ends = f":{server.port:04X}", f":{mine.getsockname()[1]:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()]
        (timer,) = [line[5] for line in lines if line[1].endswith(ends[0]) and line[2].endswith(ends[1])]
        assert timer.startswith("02:")  # keepalive's
