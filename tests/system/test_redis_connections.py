"""Ways to Redis, and how many connections a worker has to it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from subprocess import PIPE

import pytest
from redis import Redis

from millstream.access.keyring import digest
from tests.stores.test_redis_address import Closed
from tests.system import clients
from tests.system.clients import until
from tests.system.emulator import Emulator
from tests.system.redis_server import RedisServer
from tests.system.server import ROOT, Server
from tests.system.test_keys import log_in
from tests.system.test_redis import PROMISED, read_until, ready

pytestmark = pytest.mark.system

LIMITS = {"requests_per_minute": 10_000, "streams": 1000, "streams_total": 1000, "tokens_per_day": 10_000_000}
KEYS = {"anna": {"sha256": digest("ms-anna")}, "bob": {"sha256": digest("ms-bob"), "streams": 1}}


@pytest.fixture(scope="module")
def redis() -> Iterator[Closed]:
    with Closed() as redis:
        yield redis


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(["begun ", "ended"]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def machines(redis: Closed, emulator: Emulator) -> Iterator[list[Server]]:
    """One reaches Redis over TLS, the other by a socket."""
    ways = ["rediss://:hunter2@127.0.0.1:{tls}/2?ssl_ca_certs={ca}", "unix://:hunter2@{socket}?db=2"]
    with ExitStack() as stack:
        servers = []
        for way in ways:
            stores = dict.fromkeys(("store", "limits_store"), way.format(**redis.ways))
            server = Server({"emulated": emulator.table}, keys=KEYS, **stores, **LIMITS)
            servers.append(stack.enter_context(server))
        until(lambda: all(map(ready, servers)))
        yield servers
    assert "hunter2" not in "".join(server.text() for server in servers)


@pytest.fixture
def upstream(emulator: Emulator) -> Iterator[Emulator]:
    """It stands still between its two words."""
    emulator.gate, emulator.gate_at = threading.Event(), 1
    yield emulator
    emulator.gate.set()


def test_machines_reach_redis_over_tls_and_by_a_socket(machines, upstream):
    one, two = machines
    bob = {"Authorization": "Bearer ms-bob"}
    asking = ask(one, **bob)
    head = read_until(asking, b"begun")
    (path,) = re.findall(rb"Content-Location: (\S+)", head)
    assert ask_whole(two, **bob) == b"429"
    following = ask(two, f"GET {path.decode()}", **bob)
    read_until(following, b"begun")
    upstream.gate.set()
    for sock in (asking, following):
        assert b"ended" in read_until(sock, b"event: done")
        sock.close()


def test_keys_limits_and_log_ins_need_few_connections_and_nobody_waits_long_for_them(machines, upstream, redis):
    server = machines[0]
    most = Most(redis)
    anna = [{"Authorization": "Bearer ms-anna"}, {**log_in(server, "ms-anna"), "Origin": server.url}]
    asking = [ask(server, **headers) for headers in anna * 100]
    for sock in asking:
        assert b" 200 OK" in read_until(sock, b"begun").partition(b"\r\n")[0]
    upstream.gate.set()
    for sock in asking:
        read_until(sock, b"event: done")
        sock.close()
    assert 2 * 3 < most.stop() <= 2 * 7
    redis.freeze()
    began = time.monotonic()
    asking = [ask(server, **headers) for headers in anna * 25]
    for sock in asking:
        assert b" 503 " in read_until(sock, b"store_unavailable").partition(b"\r\n")[0]
        sock.close()
    assert time.monotonic() - began < PROMISED
    redis.thaw()
    until(lambda: ask_whole(server, **anna[1]) == b"200")


class Most(threading.Thread):
    """The most connections that the one Redis has had at the same time, besides this one."""

    def __init__(self, redis: RedisServer) -> None:
        super().__init__(daemon=True)
        self._client = Redis.from_url(redis.url)
        self._ended = threading.Event()
        self._most = 0
        self.start()

    def run(self) -> None:
        while not self._ended.is_set():
            self._most = max(self._most, len(self._client.client_list()) - 1)

    def stop(self) -> int:
        self._ended.set()
        self.join()
        self._client.close()
        return self._most


def ask(server: Server, what: str = "POST /chat", **headers: str) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), clients.DEADLINE)
    sent = {"Host": f"{server.host}:{server.port}", "Accept": "text/event-stream", **headers}
    if what.startswith("POST"):
        sent |= {"Content-Type": "text/plain", "Content-Length": "2"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    sock.sendall(f"{what} HTTP/1.1\r\n{lines}\r\n{'Hi' if what.startswith('POST') else ''}".encode())
    return sock


def ask_whole(server: Server, **headers: str) -> bytes:
    """The status alone."""
    with ask(server, **headers) as sock:
        return read_until(sock, b"\r\n\r\n").split(b" ")[1]


GUNICORN, FLASK = ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], ["flask", "run"]
WRONG = "redis://:wrong-hunter2@127.0.0.1:{port}/0"


def test_a_wrong_address_stops_the_start_with_a_sentence(redis):
    starts = [(GUNICORN, WRONG), (FLASK, WRONG), (GUNICORN, "redis://:hunter2@host:x/0")]
    started = []
    for words, url in starts:
        environ = {**os.environ, "REDIS_URL": url.format(**redis.ways), "PORT": "0", "FLASK_RUN_PORT": "0"}
        command = [sys.executable, "-m", *words]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=PIPE, stderr=PIPE, text=True))
    for process in started:
        said, error = process.communicate(timeout=60)
        assert process.returncode
        assert "Millstream can't start: " in error and "Redis" in error
        assert "hunter2" not in error + said
