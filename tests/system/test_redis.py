"""Several machines with one Redis: here two servers, each with a port, a folder and workers of its own."""

from __future__ import annotations

import json
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from redis import Redis

from tests.system import clients
from tests.system.clients import Client, until
from tests.system.emulator import Emulator
from tests.system.redis_server import RedisServer
from tests.system.server import Server

pytestmark = pytest.mark.system

HALF = 10  # tokens that come before the gate
PROMISED = 2.0  # s for which nothing blocks longer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer(aof=True) as redis:
        yield redis


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator([f"word{n} 🌊 " for n in range(2 * HALF)]) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def machines(redis: RedisServer, emulator: Emulator) -> Iterator[tuple[Server, Server]]:
    tables = {"emulated": emulator.table}
    with Server(tables, workers=2, store=redis.url) as one, Server(tables, store=redis.url) as two:
        until(lambda: ready(one) and ready(two))
        yield one, two


@pytest.fixture
def upstream(emulator: Emulator, redis: RedisServer, machines: tuple[Server, Server]) -> Iterator[Emulator]:
    """It stands still at the gate."""
    emulator.wait(lambda: not emulator.busy)
    emulator.gate, emulator.gate_at = threading.Event(), HALF
    emulator.asked.clear()
    until(lambda: all(map(ready, machines)))
    yield emulator
    redis.thaw()
    emulator.gate.set()


def ready(server: Server) -> bool:
    """Each of its workers says once that Redis is away, and once that it is back."""
    said = server.text()
    return server.get("/readyz")[0] == 200 and said.count(" is away (") == said.count(" is back")


def ask(server: Server, format: type[Client] = clients.Sse, **more: str) -> Client:
    """A client half of whose answer has come."""
    client = format(server.port, "Hi", **more).start()
    until(lambda: client.last == HALF or (client.over and client.wait()))  # that raises what it met
    return client


def follow(server: Server, id: str, format: type[Client] = clients.Sse, seen: int = HALF) -> Client:
    client = format(server.port, "")
    client.id = id
    client.start()
    until(lambda: client.last == seen)
    return client


def elsewhere(server: Server, client: Client) -> None:
    """The next connection is to this server, as through a load balancer."""
    client.open = lambda: clients.connect(server.port)


def post(server: Server) -> tuple[int, dict, str | None]:
    connection = server.connect()
    connection.request("POST", "/chat", json.dumps({"prompt": "Hi"}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    status, body, retry = response.status, response.read(), response.headers["Retry-After"]
    connection.close()
    return status, json.loads(body), retry


# -- together ---------------------------------------------------------------------------------------------------


def test_an_answer_begun_on_one_machine_is_followed_and_resumed_on_the_other(machines, upstream):
    one, two = machines
    asking = ask(one)
    following = [follow(two, asking.id, format) for format in (clients.Sse, clients.Ndjson, clients.Polling)]
    resuming = clients.Ndjson(two.port, "")
    resuming.id, resuming.events = asking.id, asking.events[:3]
    resuming.start()
    upstream.gate.set()
    for client in [asking, *following, resuming]:
        assert client.wait().events == clients.log_of(two.port, asking.id)
    assert asking.text == upstream.text
    assert len(upstream.asked) == 1


def test_an_answer_is_stopped_from_the_other_machine(machines, upstream):
    one, two = machines
    asking = ask(one)
    left = upstream.left
    connection = two.connect()
    connection.request("POST", f"/streams/{asking.id}/stop")
    assert connection.getresponse().status == 204
    connection.close()
    assert [kind for _, kind, _ in asking.wait().events] == ["message"] * HALF + ["done"]
    assert upstream.wait(lambda: upstream.left == left + 1)


def test_an_answer_is_erased_from_the_other_machine(machines, upstream):
    one, two = machines
    asking = ask(one)
    connection = two.connect()
    connection.request("DELETE", f"/streams/{asking.id}")
    assert connection.getresponse().status == 204
    connection.close()
    assert {machine.get(f"/streams/{asking.id}")[0] for machine in machines} == {404}
    asking.ended = True


def test_the_same_key_on_all_machines_at_once_asks_once(machines, upstream):
    upstream.gate.set()
    asking = [clients.Sse(machine.port, "Hi", key="the same").start() for machine in machines * 6]
    assert len({client.wait().id for client in asking}) == 1
    assert {client.text for client in asking} == {upstream.text}
    assert len(upstream.asked) == 1


def test_a_follower_on_the_other_machine_keeps_an_answer_going(machines, upstream):
    one, two = machines
    asking = ask(one)
    there = follow(two, asking.id)
    asking.ended = True
    upstream.gate.set()
    assert there.wait().text == upstream.text


# -- without Redis ----------------------------------------------------------------------------------------------


def away(machines) -> bool:
    return all(machine.get("/readyz") == (503, b'{"status":"store_unavailable"}\n') for machine in machines)


@pytest.mark.parametrize("trouble", ["frozen", "killed"])
def test_without_redis_running_answers_go_on_and_new_ones_wait(machines, upstream, redis, trouble):
    one, two = machines
    asking = [ask(one, format) for format in (clients.Sse, clients.Ndjson)]
    remote = follow(two, asking[0].id)
    redis.freeze() if trouble == "frozen" else redis.kill()
    began = time.monotonic()
    for machine in machines:
        status, body, retry = post(machine)
        assert (status, body["error"]["code"], retry) == (503, "store_unavailable", "2")
        assert machine.get("/healthz")[0] == 200
    assert time.monotonic() - began < len(machines) * PROMISED
    until(lambda: away(machines))
    upstream.gate.set()
    for client in asking:
        assert client.wait().text == upstream.text
        assert client.connections == 1
    assert remote.last == HALF and not remote.ended
    redis.thaw() if trouble == "frozen" else redis.start()
    assert remote.wait().events == asking[0].events == clients.log_of(two.port, asking[0].id)
    assert remote.connections == 1
    assert len(upstream.asked) == 2
    assert "Traceback" not in one.text() + two.text()


@pytest.mark.parametrize("trouble", ["frozen", "killed"])
def test_what_a_client_saw_while_redis_was_away_is_never_denied(machines, upstream, redis, trouble):
    one, _ = machines
    seen = ask(one)
    redis.freeze() if trouble == "frozen" else redis.kill()
    until(lambda: away(machines))
    upstream.gate.set()
    seen.wait()  # its worker has the rest in memory alone

    def answers() -> list[tuple[int, bytes]]:
        path = f"/streams/{seen.id}?after={seen.last - 2}&format=json"
        found = [machine.get(path) for machine in machines for _ in range(3)]  # `one` has two workers
        assert {status for status, _ in found} <= {200, 503}, found
        return found

    answers()
    redis.thaw() if trouble == "frozen" else redis.start()
    until(lambda: {status for status, _ in answers()} == {200})
    for _, body in answers():
        assert [(event["n"], event["type"]) for event in json.loads(body)["events"]] == [
            event[:2] for event in seen.events[-2:]
        ]


def test_where_redis_comes_back_empty_running_answers_go_on_everywhere(machines, upstream, redis):
    one, two = machines
    asking = [ask(one, format) for format in (clients.Sse, clients.Ndjson)]
    remote = [follow(two, client.id) for client in asking]
    resuming = clients.Sse(two.port, "")
    resuming.id, resuming.events = asking[0].id, asking[0].events[:4]  # it comes back by Last-Event-ID
    with Redis.from_url(redis.url) as client:
        client.flushall()
    redis.kill()
    until(lambda: away(machines))
    redis.start()
    paths = [f"/streams/{client.id}?after={HALF - 1}&format=json" for client in asking]

    def answers() -> set[int]:
        found = {machine.get(path)[0] for machine in machines for path in paths}
        assert found <= {200, 503}
        return found

    until(lambda: answers() == {200})  # by then the owner has written anew what they had seen
    resuming.start()
    upstream.gate.set()
    for client in [*asking, *remote, resuming]:
        assert client.wait().text == upstream.text
    for client in (*asking, *remote, resuming):
        logs = [clients.log_of(machine.port, client.id) for machine in machines]
        assert logs == [client.events] * 2
    assert len(upstream.asked) == 2


def test_a_server_starts_without_redis_and_serves_when_it_comes(emulator):
    emulator.gate = None
    with RedisServer() as late:
        late.kill()
        with Server({"emulated": emulator.table}, store=late.url) as server:
            until(lambda: not ready(server))
            assert post(server)[0] == 503
            late.start()
            until(lambda: ready(server))
            assert clients.Sse(server.port, "Hi").run().text == emulator.text
        assert "is away" in server.text() and "is back" in server.text()


# -- a machine dies ---------------------------------------------------------------------------------------------


def processes(server: Server) -> list[psutil.Process]:
    master = psutil.Process(server.process.pid)
    return [master, *master.children(recursive=True)]


def test_a_killed_machines_answers_are_resumed_on_the_other_and_end_once(machines, redis):
    """At the gate, and in full flow."""
    waiting, flowing = Emulator([f"{n} " for n in range(2 * HALF)]), Emulator([f"{n} " for n in range(2000)], 0.002)
    waiting.gate, waiting.gate_at = threading.Event(), HALF
    two = machines[1]
    with waiting, flowing:
        tables = {"emulated": waiting.table, "other": {**flowing.table, "models": ["flowing"]}}
        with Server(tables, workers=2, store=redis.url) as one:
            asking = [
                format(one.port, "Hi", model=model).start()
                for format in (clients.Sse, clients.Ndjson)
                for model in ("emulated", "flowing")
            ]
            until(lambda: all(client.last >= HALF for client in asking))
            following = [clients.Sse(two.port, "") for _ in asking]
            for client, other in zip(asking, following, strict=True):
                elsewhere(two, client)
                other.id = client.id
                other.start()
            until(lambda: all(client.last for client in following))
            for process in processes(one):
                process.send_signal(signal.SIGKILL)
            for client, other in zip(asking, following, strict=True):
                assert client.wait().failure == other.wait().failure == "interrupted"
                assert client.events == other.events == clients.log_of(two.port, client.id)
                assert [n for n, _, _ in client.events] == list(range(1, client.last + 1))
                assert flowing.text.startswith(client.text)
            one.process.wait(clients.DEADLINE)
        assert len(waiting.asked) == len(flowing.asked) == 2


# -- many -------------------------------------------------------------------------------------------------------


def test_two_thousand_followers_of_foreign_answers_on_one_worker(machines, upstream, redis):
    one, two = machines
    streams, each = 100, 20
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    try:
        ids = []
        for _ in range(streams):
            client = clients.Polling(one.port, "Hi")
            client.once()
            ids.append(client.id)
        sockets = [following(two, id) for id in ids for _ in range(each)]
        for sock in sockets:
            read_until(sock, b"word0")
        with Redis.from_url(redis.url) as client:
            assert len(client.client_list()) - 1 == 3 * 3
        began = time.monotonic()
        assert two.get("/healthz")[0] == 200
        assert time.monotonic() - began < PROMISED
        upstream.gate.set()
        for sock in sockets:
            assert b"event: done" in read_until(sock, b"event: done")
            sock.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def following(server: Server, id: str) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), clients.DEADLINE)
    sock.sendall(f"GET /streams/{id}?format=sse HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        more = sock.recv(65536)
        assert more, f"the connection ended before {wanted!r}: {data!r}"
        data += more
    return data
