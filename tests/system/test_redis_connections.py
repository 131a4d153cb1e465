"""Ways to Redis, and how many connections a worker has to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

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
KEYS = {"anna": {"sha256": digest("ms-anna")}}


@pytest.fixture(scope="module")
def redis() -> Iterator[Closed]:
    with Closed() as redis:
        yield redis


def test_limits_and_log_ins_need_few_connections_and_nobody_waits_long_for_them(redis):
    """Over TLS."""
    url = "rediss://:hunter2@127.0.0.1:{tls}/0?ssl_ca_certs={ca}".format(**redis.ways)
    upstream = Emulator(["begun ", "ended"])
    upstream.gate, upstream.gate_at = threading.Event(), 1
    with upstream, Server({"emulated": upstream.table}, keys=KEYS, store=url, limits_store=url, **LIMITS) as server:
        until(lambda: ready(server))
        most = Most(redis)
        anna = [{"Authorization": "Bearer ms-anna"}, {**log_in(server, "ms-anna"), "Origin": server.url}]
        asking: list[socket.socket] = []
        for _ in range(10):  # not all at once: a machine with much to do would take Redis for away
            wave = [ask(server, **headers) for headers in anna * 10]
            for sock in wave:
                assert b" 200 OK" in read_until(sock, b"begun").partition(b"\r\n")[0]
            asking += wave
        upstream.gate.set()
        for sock in asking:
            assert b"ended" in read_until(sock, b"event: done")
            sock.close()
        assert 3 < most.stop() <= 8
        redis.freeze()
        began = time.monotonic()
        asking = [ask(server, **headers) for headers in anna * 10]
        for sock in asking:
            assert b" 503 " in read_until(sock, b"store_unavailable").partition(b"\r\n")[0]
            sock.close()
        assert time.monotonic() - began < PROMISED
        redis.thaw()
        until(lambda: status(server, **anna[1]) == b"200")
    assert "hunter2" not in server.text()


class Most(threading.Thread):
    """The most connections that the one Redis has had at the same time, besides this one."""

    def __init__(self, redis: RedisServer) -> None:
        super().__init__(daemon=True)
        self._client = Redis.from_url(redis.url)
        self._ended = threading.Event()
        self._most = 0
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.01):
            self._most = max(self._most, len(self._client.client_list()) - 1)

    def stop(self) -> int:
        self._ended.set()
        self.join()
        self._client.close()
        return self._most


def ask(server: Server, **headers: str) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), clients.DEADLINE)
    sent = {"Host": f"{server.host}:{server.port}", "Accept": "text/event-stream", "Content-Length": "2", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    sock.sendall(f"POST /chat HTTP/1.1\r\nContent-Type: text/plain\r\n{lines}\r\nHi".encode())
    return sock


def status(server: Server, **headers: str) -> bytes:
    with ask(server, **headers) as sock:
        return read_until(sock, b"\r\n").split(b" ")[1]


@pytest.mark.parametrize("command", ["gunicorn -c gunicorn.conf.py wsgi:app", "flask run"])
def test_a_wrong_address_stops_the_start_with_a_sentence(redis, command):
    environ = {**os.environ, "REDIS_URL": f"redis://:wrong-hunter2@127.0.0.1:{redis.port}/0", "PORT": "0"}
    words = [sys.executable, "-m", *command.split(" ")]
    ended = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode
    assert "Millstream can't start: Redis at" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout
