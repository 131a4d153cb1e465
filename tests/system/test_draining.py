"""Leaving: what ends in time is whole, what doesn't is told so, and a reload refuses nobody."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.system import clients
from tests.system.clients import Client, in_thread, until
from tests.system.emulator import Emulator
from tests.system.server import Server
from tests.system.test_ledger import rows_of
from tests.system.test_workers import at, reach

pytestmark = pytest.mark.system

LIMIT, MARGIN = 38, 30  # s: a worker stays for 8 s, then ends what still runs, and has 30 s for it on a busy machine
WORDS = [f"word{n} " for n in range(50)]


@pytest.fixture
def upstreams() -> Iterator[dict[str, Emulator]]:
    """One answers within 2 s, one at once, and one never comes to an end."""
    emulators = {"brief": Emulator(WORDS, pace=0.03), "quick": Emulator(["at ", "once"]), "endless": Emulator(WORDS)}
    emulators["endless"].gate = threading.Event()
    with ExitStack() as running:
        yield {name: running.enter_context(emulator) for name, emulator in emulators.items()}


@pytest.fixture
def server(upstreams: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--log-level info")  # workers that leave by themselves say so
    tables = {name: {**emulator.table, "models": [name]} for name, emulator in upstreams.items()}
    with Server(tables, workers=2, graceful_timeout=LIMIT, drain_margin=MARGIN) as server:
        until(lambda: len(server.worker_pids()) == 2)
        for worker in server.worker_pids():
            reach(server, worker).close()  # one that is told to leave before it has begun says nothing
        yield server


def begin(server: Server, model: str) -> str:
    """Starts an answer that nobody follows; gives its id."""
    client = clients.Polling(server.port, "Hi", model)
    client.once()
    return client.id


def follow(server: Server, model: str, format: type[Client] = clients.Sse) -> Client:
    """A client whose answer has begun."""
    client = format(server.port, "Hi", model).start()
    until(lambda: client.text)
    return client


def left_by_themselves(server: Server, workers: list[int]) -> bool:
    return all(f"Worker exiting (pid: {worker})" in server.text() for worker in workers)


def whole(client: Client) -> bool:
    return client.text == "".join(WORDS) and not client.failure


def test_a_server_that_is_told_to_leave_ends_nothing_that_ends_in_time(
    server: Server, upstreams: dict[str, Emulator]
) -> None:
    workers = server.worker_pids()
    followed = [follow(server, "brief", format) for format in (clients.Sse, clients.Ndjson, clients.Text)]
    assert not any(client.ended for client in followed)
    server.process.send_signal(signal.SIGTERM)
    assert all(whole(client.wait()) for client in followed)
    assert [client.connections for client in followed] == [1] * 3
    assert server.process.wait(clients.DEADLINE) == 0
    assert left_by_themselves(server, workers)
    assert len(upstreams["brief"].asked) == 3


def test_a_server_that_is_told_to_leave_ends_what_nobody_follows_at_the_moment(server: Server) -> None:
    workers = server.worker_pids()
    unfollowed = [begin(server, "brief") for _ in range(4)]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(clients.DEADLINE) == 0
    assert left_by_themselves(server, workers)
    with Server(server.upstreams, store=server.settings["store"]) as next_server:
        for id in unfollowed:
            assert clients.log_of(next_server.port, id)[-1][:2] == (len(WORDS) + 1, "done")


def test_what_does_not_end_in_time_is_interrupted_and_counted_and_its_upstream_left(
    server: Server, upstreams: dict[str, Emulator]
) -> None:
    workers = server.worker_pids()
    upstreams["endless"].gate_at = 20
    unfollowed = begin(server, "endless")
    followed = [follow(server, "endless", format) for format in (clients.Sse, clients.Ndjson)]
    text = follow(server, "endless", clients.Text)
    text.ended = True  # nobody would be there for it to come back to
    in_time = [follow(server, "brief", format) for format in (clients.Sse, clients.Text)]
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert all(whole(client.wait()) for client in in_time)
    assert {client.wait().failure for client in followed} == {"interrupted"}
    assert {client.text for client in followed} == {"".join(WORDS[:20])}
    assert text.wait().text == "".join(WORDS[:20])
    assert server.process.wait(clients.DEADLINE) == 0
    assert time.monotonic() - began < LIMIT
    assert left_by_themselves(server, workers)
    assert upstreams["endless"].left == 4
    assert Counter(row["reason"] for row in rows_of(server).values()) == {"interrupted": 4, "stop": 2}
    with Server(server.upstreams, store=server.settings["store"]) as next_server:
        assert [kind for _, kind, _ in clients.log_of(next_server.port, unfollowed)] == ["message"] * 20 + ["failed"]


def test_a_quick_exit_ends_answers_with_a_word(server: Server, upstreams: dict[str, Emulator]) -> None:
    upstreams["endless"].gate_at = 20
    endless = follow(server, "endless")
    until(lambda: endless.last == 20)
    server.process.send_signal(signal.SIGQUIT)
    assert server.process.wait(clients.DEADLINE) == 0
    with Server(server.upstreams, store=server.settings["store"]) as next_server:
        log = clients.log_of(next_server.port, endless.id)
    assert (log, log[20:]) == (endless.events, [(21, "failed", "")])


def test_the_next_server_ends_what_a_killed_one_has_cut(server: Server, upstreams: dict[str, Emulator]) -> None:
    upstreams["endless"].gate_at = 20
    endless = follow(server, "endless")
    until(lambda: endless.last == 20)
    endless.ended = True  # it does not come back
    for pid in (server.process.pid, *server.worker_pids()):
        os.kill(pid, signal.SIGKILL)
    server.process.wait(clients.DEADLINE)
    with Server(server.upstreams, store=server.settings["store"]) as next_server:
        log = clients.log_of(next_server.port, endless.id)
    assert (log[:20], log[20:]) == (endless.events, [(21, "failed", "")])


def test_a_reload_ends_nothing_that_ends_in_time_and_leaves_the_rest_to_read(
    server: Server, upstreams: dict[str, Emulator]
) -> None:
    upstreams["endless"].gate_at = 20
    old = server.worker_pids()
    unfollowed = begin(server, "brief"), begin(server, "endless")
    followed = [follow(server, "brief") for _ in range(4)]
    endless = follow(server, "endless")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: set(server.worker_pids()) - set(old))
    new = (set(server.worker_pids()) - set(old)).pop()
    there = at(server, new, clients.Ndjson(server.port, ""), endless.id)
    assert all(whole(client.wait()) for client in followed)
    assert {endless.wait().failure, there.wait().failure} == {"interrupted"}
    assert endless.events == there.events
    until(lambda: left_by_themselves(server, old))
    logs = [clients.log_of(server.port, id) for id in unfollowed]
    assert [log[-1][:2] for log in logs] == [(len(WORDS) + 1, "done"), (21, "failed")]


def test_reloads_under_a_steady_load_refuse_nobody(server: Server, upstreams: dict[str, Emulator]) -> None:
    stop, done = threading.Event(), [0] * 4

    def load(number: int) -> None:
        while not stop.is_set():
            client = clients.Text(server.port, "Hi", "quick")
            client.once()
            assert (client.text, client.ended, client.failure) == ("at once", True, "")
            done[number] += 1

    loads = [in_thread(load, number) for number in range(len(done))]
    for _ in range(3):
        old = server.worker_pids()
        server.process.send_signal(signal.SIGHUP)
        until(lambda old=old: left_by_themselves(server, old))
        so_far = list(done)
        until(lambda so_far=so_far: all(now > then for now, then in zip(done, so_far, strict=True)))
    stop.set()
    for ended in loads:
        ended.result(clients.DEADLINE)
    assert len(upstreams["quick"].asked) == sum(done)


def test_who_follows_another_workers_answer_is_let_go_and_comes_back(
    server: Server, upstreams: dict[str, Emulator]
) -> None:
    upstreams["endless"].gate_at = 20
    owner, leaving = server.worker_pids()
    asking = at(server, owner, clients.Sse(server.port, "Hi", "endless"))
    until(lambda: asking.last == 20)
    following = [at(server, leaving, format(server.port, ""), asking.id) for format in (clients.Sse, clients.Ndjson)]
    until(lambda: all(client.last == 20 for client in following))
    os.kill(leaving, signal.SIGTERM)
    until(lambda: all(client.connections == 2 for client in following))
    upstreams["endless"].gate.set()
    for client in [asking, *following]:
        assert whole(client.wait())
    assert asking.connections == 1
    until(lambda: left_by_themselves(server, [leaving]))


def test_a_worker_that_leaves_serves_the_connections_it_has(server: Server) -> None:
    leaving, _ = server.worker_pids()
    connection = reach(server, leaving)
    os.kill(leaving, signal.SIGTERM)
    until(lambda: not listens(leaving))
    client = clients.Text(server.port, "Hi", "quick")
    client.open = lambda: connection
    assert client.run().text == "at once"
    assert client.connections == 1


def listens(worker: int) -> bool:
    return any(each.status == psutil.CONN_LISTEN for each in psutil.Process(worker).net_connections("tcp"))
