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


@pytest.fixture(scope="module")
def redis() -> Iterator[Closed]:
    with Closed() as redis:
        yield redis


def test_keys_limits_and_log_ins_need_few_connections_and_nobody_waits_long_for_them(redis):
    upstream = Emulator(["begun ", "ended"])
    upstream.gate, upstream.gate_at = threading.Event(), 1
    keys = {"anna": {"sha256": digest("ms-anna")}}
    store = {"store": redis.url, "limits_store": redis.url}
    with upstream, Server({"emulated": upstream.table}, keys=keys, **store, **LIMITS) as server:
        until(lambda: ready(server))
        anna = [{"Authorization": "Bearer ms-anna"}, {**log_in(server, "ms-anna"), "Origin": server.url}]
        most = Most(redis)
        asking = [post_on(server, **headers) for headers in anna * 100]
        for sock in asking:
            assert b" 200 OK" in read_until(sock, b"begun").partition(b"\r\n")[0]
        upstream.gate.set()
        for sock in asking:
            read_until(sock, b"event: done")
            sock.close()
        assert 3 < most.stop() <= 8
        redis.freeze()
        began = time.monotonic()
        asking = [post_on(server, **headers) for headers in anna * 25]
        for sock in asking:
            assert b" 503 " in read_until(sock, b"store_unavailable").partition(b"\r\n")[0]
            sock.close()
        assert time.monotonic() - began < PROMISED
        redis.thaw()
        until(lambda: post_ends(server, **anna[1]) == b"200")


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


def post_on(server: Server, **headers: str) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), clients.DEADLINE)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /chat?format=sse HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n{lines}"
    sock.sendall(f"{head}Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nHi".encode())
    return sock


def post_ends(server: Server, **headers: str) -> bytes:
    with post_on(server, **headers) as sock:
        return read_until(sock, b"\r\n\r\n").split(b" ")[1]


def test_machines_reach_redis_over_tls_and_by_a_socket(redis):
    ways = ["rediss://:hunter2@127.0.0.1:{tls}/2?ssl_ca_certs={ca}", "unix://:hunter2@{socket}?db=2"]
    tls, local = (dict.fromkeys(("store", "limits_store"), way.format(**redis.ways)) for way in ways)
    upstream = Emulator(["begun ", "ended"])
    upstream.gate, upstream.gate_at = threading.Event(), 1
    with (
        upstream,
        Server({"emulated": upstream.table}, streams=1, **tls) as one,
        Server({"emulated": upstream.table}, streams=1, **local) as two,
    ):
        until(lambda: ready(one) and ready(two))
        asking = clients.Sse(one.port, "Hi").start()
        until(lambda: asking.last == 1)
        assert post_ends(two) == b"429"
        following = clients.Ndjson(two.port, "")
        following.id = asking.id
        following.start()
        until(lambda: following.last == 1)
        upstream.gate.set()
        assert following.wait().events == asking.wait().events == clients.log_of(one.port, asking.id)
        assert asking.text == upstream.text
    assert "hunter2" not in one.text() + two.text()


COMMANDS = {"gunicorn": ["-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], "flask": ["-m", "flask", "run"]}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("url", ["redis://:wrong-hunter2@127.0.0.1:{port}/0", "redis://:hunter2@host:x/0"])
def test_a_wrong_address_stops_the_start_with_a_sentence(redis, command, url):
    environ = {**os.environ, "REDIS_URL": url.format(**redis.ways), "PORT": "0", "FLASK_RUN_PORT": "0"}
    words = [sys.executable, *COMMANDS[command]]
    ended = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode
    assert "Millstream can't start: " in ended.stderr and "Redis" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout
