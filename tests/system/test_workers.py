"""Several workers: each serves every stream, and one that is killed takes no token with it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection

import psutil
import pytest

from tests.system import clients
from tests.system.clients import Client, until
from tests.system.emulator import Emulator
from tests.system.server import Server

pytestmark = pytest.mark.system

HALF = 10  # tokens that come before the gate
LOCKED = 5.0  # s


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    with Emulator([f"word{n} 🌊 " for n in range(2 * HALF)]) as upstream:
        upstream.gate, upstream.gate_at = threading.Event(), HALF
        yield upstream


@pytest.fixture
def server(upstream: Emulator) -> Iterator[Server]:
    # Without heartbeats, at which each follower looks after its stream anyhow.
    with Server({"emulated": upstream.table}, workers=3, heartbeat=600) as server:
        until(lambda: len(server.worker_pids()) == 3)
        yield server


def reach(server: Server, worker: int) -> HTTPConnection:
    """A connection that this worker has accepted: the others stand still meanwhile. If one of them does so in
    possession of a lock that the worker needs, they go on for a moment."""
    limit = time.monotonic() + clients.DEADLINE
    while True:
        try:
            return alone(server, worker)
        except TimeoutError:
            if time.monotonic() > limit:
                raise


def alone(server: Server, worker: int) -> HTTPConnection:
    others: dict[int, psutil.Process] = {}

    def stand_still() -> bool:
        """A child of the master that is about to be another program, or a worker that ends, is none of them."""
        now = server.worker_pids()
        with suppress(psutil.NoSuchProcess):
            for pid in set(now) - {worker, *others}:
                others[pid] = psutil.Process(pid)
                others[pid].suspend()
            stopped = [others[pid].status() == psutil.STATUS_STOPPED for pid in now if pid != worker]
            return len(now) >= server.workers and all(stopped)
        return False

    try:
        until(stand_still)
        connection = clients.connect(server.port)
        connection.timeout = LOCKED
        try:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        except TimeoutError:
            connection.close()
            raise
        connection.sock.settimeout(clients.DEADLINE)
    finally:
        for other in others.values():
            with suppress(psutil.NoSuchProcess):
                other.resume()
    return connection


def at(server: Server, worker: int, client: Client, id: str = "") -> Client:
    """The client, whose first connection is to this worker; it asks, or follows the stream `id`."""
    first = [reach(server, worker)]
    client.id = id
    client.open = lambda: first.pop() if first else clients.connect(server.port)
    return client.start()


def log_lines(server: Server, id: str) -> list[dict]:
    """What the log's file holds: a Meta, then events."""
    text = (server.folder / "streams" / f"{id}.log").read_text("utf-8")
    return [json.loads(line) for line in text[1:].splitlines()]


def ask(server: Server, worker: int, prompt: str = "Hi") -> Client:
    """A client whose answer this worker makes; half of it has come."""
    client = at(server, worker, clients.Sse(server.port, prompt))
    until(lambda: client.last == HALF)
    assert log_lines(server, client.id)[0]["worker"].startswith(f"{worker}-")
    return client


def test_each_worker_passes_on_what_another_ones_upstream_says_at_once(server: Server, upstream: Emulator) -> None:
    owner, *others = server.worker_pids()
    asking = ask(server, owner)
    following = [
        at(server, worker, format(server.port, ""), asking.id)
        for worker in others
        for format in (clients.Sse, clients.Ndjson, clients.Polling)
    ]
    until(lambda: all(client.last == HALF for client in following))
    upstream.gate.set()
    for client in [asking, *following]:
        assert client.wait().events == clients.log_of(server.port, asking.id)
        assert client.connections == 1 or isinstance(client, clients.Polling)
    assert asking.text == upstream.text
    assert len(upstream.asked) == 1


def test_an_answer_is_stopped_on_another_worker(server: Server, upstream: Emulator) -> None:
    owner, other, _ = server.worker_pids()
    asking = ask(server, owner)
    connection = reach(server, other)
    connection.request("POST", f"/streams/{asking.id}/stop")
    assert connection.getresponse().status == 204
    connection.close()
    assert [kind for _, kind, _ in asking.wait().events] == ["message"] * HALF + ["done"]
    assert upstream.wait(lambda: upstream.left == 1)


def test_the_same_key_on_all_workers_at_once_asks_once(server: Server, upstream: Emulator) -> None:
    upstream.gate.set()
    asking = [
        at(server, worker, clients.Sse(server.port, "Hi", key="the same")) for worker in server.worker_pids() * 4
    ]
    assert len({client.wait().id for client in asking}) == 1
    assert {client.text for client in asking} == {upstream.text}
    assert len(upstream.asked) == 1


def test_a_killed_workers_answer_ends_once_and_is_not_paid_again(server: Server, upstream: Emulator) -> None:
    owner, *others = server.worker_pids()
    asking = ask(server, owner)
    following = [
        at(server, worker, format(server.port, ""), asking.id)
        for worker in others * 3
        for format in (clients.Sse, clients.Ndjson)
    ]
    until(lambda: all(client.last == HALF for client in following))
    os.kill(owner, signal.SIGKILL)
    for client in [asking, *following]:
        assert client.wait().failure == "interrupted"
    again = clients.Sse(server.port, "Hi", key=asking.key).run()
    seen = {tuple(client.events) for client in [asking, again, *following]}
    assert seen == {tuple((event["n"], event["type"], event.get("text", "")) for event in typed(server, asking.id))}
    assert [event["type"] for event in typed(server, asking.id)] == ["message"] * HALF + ["failed"]
    assert len(upstream.asked) == 1
    assert upstream.wait(lambda: upstream.left == 1)


def typed(server: Server, id: str) -> list[dict]:
    """The events in the log's file, with the type that is left out for a message."""
    return [{"type": "message", **line} for line in log_lines(server, id)[1:]]


def test_those_who_come_after_the_kill_get_every_byte_too(server: Server) -> None:
    owner, *_ = server.worker_pids()
    asking = ask(server, owner)
    asking.ended = True  # it does not come back
    os.kill(owner, signal.SIGKILL)
    until(lambda: len(set(server.worker_pids()) - {owner}) == 3)
    seizing = [
        at(server, worker, format(server.port, ""), asking.id)
        for worker in server.worker_pids()
        for format in (clients.Ndjson, clients.Polling)
    ]
    for client in seizing:
        assert client.wait().failure == "interrupted"
        assert client.events[:HALF] == asking.events
    assert [event["type"] for event in typed(server, asking.id)].count("failed") == 1


def test_a_text_that_a_kill_has_cut_has_no_clean_end(server: Server, upstream: Emulator) -> None:
    owner, *_ = server.worker_pids()
    asking = at(server, owner, clients.Text(server.port, "Hi"))
    half = "".join(upstream.tokens[:HALF])
    until(lambda: asking.text == half)
    os.kill(owner, signal.SIGKILL)
    assert asking.wait().text == half
    assert asking.failure


def test_a_worker_killed_before_the_first_token_does_not_let_its_key_pay_again(
    server: Server, upstream: Emulator
) -> None:
    upstream.gate_at = 0
    owner, other, _ = server.worker_pids()
    asking = at(server, owner, clients.Sse(server.port, "Hi"))
    assert upstream.wait(lambda: len(upstream.asked) == 1)
    os.kill(owner, signal.SIGKILL)
    again = at(server, other, clients.Sse(server.port, "Hi", key=asking.key))
    assert interrupted(asking) and interrupted(again)
    upstream.gate.set()
    assert len(upstream.asked) == 1  # it may have been paid


def interrupted(asking: Client) -> bool:
    """By an event; or by the status, where the worker that comes instead of the dead one was faster."""
    try:
        return asking.wait().failure == "interrupted"
    except AssertionError as refused:
        return str(refused).startswith("502") and '"code":"interrupted"' in str(refused)


@pytest.mark.parametrize("tokens", [1, 7, 40, 120])
def test_a_kill_at_any_moment_leaves_a_whole_beginning(tokens: int) -> None:
    upstream = Emulator([f"{n} " for n in range(2000)], pace=0.002)
    with upstream, Server({"emulated": upstream.table}, workers=2) as server:
        until(lambda: len(server.worker_pids()) == 2)
        owner, other = server.worker_pids()
        asking = at(server, owner, clients.Ndjson(server.port, "Hi"))
        until(lambda: asking.last)
        following = at(server, other, clients.Sse(server.port, ""), asking.id)
        until(lambda: asking.last >= tokens)
        os.kill(owner, signal.SIGKILL)
        assert following.wait().failure == "interrupted"
        assert asking.wait().events == following.events == clients.log_of(server.port, asking.id)
        assert upstream.text.startswith(asking.text)
        assert len(upstream.asked) == 1
