"""Limits over two real workers, counted in SQLite and in Redis."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import psutil
import pytest

from tests.system import clients
from tests.system.clients import in_thread, until
from tests.system.emulator import Emulator
from tests.system.redis_server import RedisServer
from tests.system.server import Server

pytestmark = pytest.mark.system

CLIENTS = 50
STREAMS, REQUESTS = 8, 28
DEADLINE = 60.0  # s


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    with Emulator(["a ", "b "]) as upstream:
        upstream.gate = threading.Event()
        yield upstream


@pytest.fixture(params=["sqlite", "redis"])
def server(request, upstream: Emulator) -> Iterator[Server]:
    limits = {"streams": STREAMS, "requests_per_minute": REQUESTS, "max_tokens": 7}
    if request.param == "redis":
        with RedisServer() as redis, Server({"e": upstream.table}, 2, limits_store=redis.url, **limits) as server:
            yield server
    else:
        with Server({"e": upstream.table}, 2, **limits) as server:
            yield server


@pytest.fixture
def connections(server: Server) -> Iterator[list[HTTPConnection]]:
    """One for each client, half of them to each worker: the other one stands still meanwhile."""
    until(lambda: len(server.worker_pids()) == 2)
    connections = []
    for pid in server.worker_pids():
        other = psutil.Process(pid)
        other.suspend()
        try:
            until(lambda other=other: other.status() == psutil.STATUS_STOPPED)
            for _ in range(CLIENTS // 2):
                connections.append(clients.connect(server.port))
                connections[-1].request("GET", "/healthz")
                connections[-1].getresponse().read()
        finally:
            other.resume()
    yield connections
    for connection in connections:
        connection.close()


def ask(connection: HTTPConnection) -> tuple[int, dict]:
    """The status and what POST /streams says, its headers too."""
    given = {"Content-Type": "application/json"}
    connection.request("POST", "/streams", json.dumps({"prompt": "Hi", "model": "emulated"}), given)
    response = connection.getresponse()
    return response.status, {**json.loads(response.read()), **dict(response.getheaders())}


def ask_until_free(connection: HTTPConnection) -> tuple[int, dict]:
    """The first answer that is not refused because others run."""
    while code(answer := ask(connection)) == "streams":
        pass
    return answer


def all_at_once(connections: list[HTTPConnection], what=ask) -> list[tuple[int, dict]]:
    """What each of the clients gets that ask in the same moment."""
    barrier = threading.Barrier(len(connections))

    def one(connection: HTTPConnection) -> tuple[int, dict]:
        barrier.wait(DEADLINE)
        return what(connection)

    return [future.result(DEADLINE) for future in [in_thread(one, connection) for connection in connections]]


def code(answer: tuple[int, dict]) -> str:
    return answer[1]["error"]["code"] if answer[0] >= 400 else "passed"


def worker_of(server: Server, id: str) -> int:
    """The process that makes this answer."""
    log = (server.folder / "streams" / f"{id}.log").read_text("utf-8")
    return int(json.loads(log[1:].partition("\n")[0])["worker"].partition("-")[0])


def passed(answers: list[tuple[int, dict]]) -> list[str]:
    return [said["id"] for status, said in answers if status == 201]


def test_caps_and_rates_are_exact_over_two_workers_under_50_clients(
    server: Server, upstream: Emulator, connections
) -> None:
    answers = all_at_once(connections)
    assert Counter(map(code, answers)) == {"passed": STREAMS, "streams": CLIENTS - STREAMS}
    assert upstream.wait(lambda: len(upstream.asked) == STREAMS)
    assert {asked["max_tokens"] for asked in upstream.asked} == {7}
    refused = next(said for status, said in answers if status == 429)
    assert (refused["error"]["type"], refused["Retry-After"]) == ("rate_limit_error", "5")
    assert refused["x-ratelimit-limit-requests"] == str(REQUESTS)
    # What was refused is not counted, and every place comes back.
    upstream.gate.set()
    more = all_at_once(connections, ask_until_free)
    left = REQUESTS - STREAMS
    assert Counter(map(code, more)) == {"passed": left, "requests": CLIENTS - left}
    assert upstream.wait(lambda: len(upstream.asked) == REQUESTS)
    waits = [int(said["Retry-After"]) for status, said in more if status == 429]
    assert all(1 <= wait <= 61 for wait in waits)


def test_a_killed_workers_places_come_back_with_who_resumes(server: Server, connections) -> None:
    ids = passed(all_at_once(connections))
    assert len(ids) == STREAMS
    for id in ids:
        until(lambda id=id: json.loads(server.get(f"/streams/{id}?format=json&wait=20")[1])["last"] == 1)
    victim = worker_of(server, ids[0])
    os.kill(victim, signal.SIGKILL)
    lost = [id for id in ids if worker_of(server, id) == victim]
    for id in lost:
        until(lambda id=id: b'"interrupted"' in server.get(f"/streams/{id}?format=json&after=1&wait=20")[1])
    answers = []
    for _ in range(len(lost) + 1):
        with closing(clients.connect(server.port)) as connection:
            answers.append(ask(connection))
    assert Counter(map(code, answers)) == {"passed": len(lost), "streams": 1}
