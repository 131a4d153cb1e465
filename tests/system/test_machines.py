"""Two machines with gunicorn, on cables of their own, and this one with nginx and Redis between them."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from redis import Redis

from tests.system import clients, network
from tests.system.clients import Client, Sse, until
from tests.system.emulator import Emulator
from tests.system.network import Machine
from tests.system.nginx import Nginx
from tests.system.redis_server import RedisServer
from tests.system.server import Server
from tests.system.test_redis import processes, ready

pytestmark = pytest.mark.system

HALF = 10  # tokens that come before the gate


@pytest.fixture(scope="module")
def cables() -> Iterator[list[Machine]]:
    why = network.refused()
    if why and not os.environ.get("CI"):
        pytest.skip(why)
    with ExitStack() as stack:
        yield [stack.enter_context(Machine()) for _ in range(2)]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    emulator = Emulator([f"word{n} " for n in range(2 * HALF)])
    emulator.host = "0.0.0.0"  # both cables' ends are ours
    with emulator:
        yield emulator


@pytest.fixture
def upstream(emulator: Emulator) -> Iterator[Emulator]:
    """It stands still at the gate."""
    emulator.wait(lambda: not emulator.busy)
    emulator.gate, emulator.gate_at = threading.Event(), HALF
    emulator.asked.clear()
    yield emulator
    emulator.gate.set()


@pytest.fixture(scope="module")
def redis(cables: list[Machine]) -> Iterator[RedisServer]:
    ends = [cable.ours for cable in cables]
    with RedisServer("--bind", "127.0.0.1", *ends, "--protected-mode", "no", aof=True) as redis:
        yield redis


@pytest.fixture(scope="module")
def started(cables: list[Machine], redis: RedisServer, emulator: Emulator) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        servers = []
        for cable in cables:
            table = {**emulator.table, "base_url": f"http://{cable.ours}:{emulator.port}/v1"}
            server = Server(
                {"emulated": table}, store=f"redis://{cable.ours}:{redis.port}/0", open=1, trusted_proxies=1
            )
            server.host, server.within = cable.address, cable.within
            servers.append(stack.enter_context(server))
        yield servers


@pytest.fixture
def servers(started: list[Server]) -> list[Server]:
    for server in started:
        if server.process.poll() is not None:  # a test killed it
            server.start()
    until(lambda: all(map(ready, started)))
    return started


@pytest.fixture
def nginx(servers: list[Server]) -> Iterator[Nginx]:
    both = " ".join(f"server {server.host}:{server.port};" for server in servers)
    with Nginx(servers[0].port, times={f"server 127.0.0.1:{servers[0].port};": both}) as nginx:
        yield nginx


def begin(nginx: Nginx, format: type[Client] = Sse) -> Client:
    client = format(nginx.port, "Hi").start()
    until(lambda: client.last == HALF)
    return client


def owner(servers: list[Server], client: Sse, redis: RedisServer) -> int:
    """Which machine makes the answer."""
    with Redis.from_url(redis.url) as asked:
        fields = asked.xrange(f"millstream:1:log:{client.id}", count=1)[0][1]
    pid = int(json.loads(fields[b"m"])["worker"].partition("-")[0])
    (found,) = [n for n, server in enumerate(servers) if pid in server.worker_pids()]
    return found


def log_of(server: Server, id: str) -> list[tuple[int, str, str]]:
    client = clients.Polling(server.port, "")
    client.id, client.open = id, server.connect
    return client.run().events


def whole(client: Sse, failure: str) -> None:
    assert client.wait().failure == failure
    assert [n for n, _, _ in client.events] == list(range(1, client.last + 1))


def test_a_machine_that_is_cut_off_loses_its_answer_to_the_others_once(cables, servers, nginx, redis, upstream):
    client = begin(nginx)
    dead = owner(servers, client, redis)
    other = servers[1 - dead]
    following = clients.Ndjson(other.port, "")
    following.id, following.open = client.id, other.connect
    following.start()
    until(lambda: following.last == HALF)
    cables[dead].unplug()
    assert following.wait().failure == "interrupted"
    client.ended = True  # nginx doesn't know: this client hears nothing more, and has to come back by itself
    cables[dead].plug()
    upstream.gate.set()
    until(lambda: ready(servers[dead]))
    until(lambda: log_of(servers[dead], client.id) == following.events)
    assert [n for n, _, _ in following.events] == list(range(1, HALF + 2))
    assert following.events[:HALF] == client.events[:HALF]
    assert len(upstream.asked) == 1


def test_an_answer_goes_on_after_redis_was_killed_and_started_again(servers, nginx, redis, upstream):
    client = begin(nginx)
    other = servers[1 - owner(servers, client, redis)]
    following = clients.Ndjson(other.port, "")
    following.id, following.open = client.id, other.connect
    following.start()
    until(lambda: following.last == HALF)
    redis.kill()
    until(lambda: not any(map(ready, servers)))
    upstream.gate.set()
    whole(client, "")  # it did not notice
    assert client.connections == 1
    redis.start()
    assert following.wait().events == client.events
    assert client.text == upstream.text
    assert len(upstream.asked) == 1


def test_clients_of_a_killed_machine_go_on_with_the_other_and_nginx_has_no_error_for_them(
    servers, nginx, redis, upstream
):
    asking = [begin(nginx, format) for format in (Sse, clients.Ndjson, clients.EventSource, clients.Polling)]
    owners = [owner(servers, client, redis) for client in asking]
    dead = owners[0]
    killed = processes(servers[dead])
    for process in killed:
        process.kill()
    servers[dead].process.wait(clients.DEADLINE)
    psutil.wait_procs(killed)  # before that one of them might still take a POST, and not answer it
    asking += [format(nginx.port, "Hi").start() for format in (Sse, clients.EventSource)]
    for client, had in zip(asking, owners, strict=False):
        if had == dead:
            whole(client, "interrupted")
            assert client.events[:HALF] == [
                (n + 1, "message", token) for n, token in enumerate(upstream.tokens[:HALF])
            ]
    upstream.gate.set()
    for client in asking:
        client.wait()
        assert client.events == log_of(servers[1 - dead], client.id)
        assert client.failure or client.text == upstream.text
    assert set(re.findall(r'HTTP/1\.1" (\d+) ', nginx.access_log())) == {"200", "201"}
    assert len(upstream.asked) == len(asking)
