"""The real model on this machine: it answers in every format, stops when nobody listens, and never outlives us."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import psutil
import pytest

from tests.system import clients
from tests.system.clients import Client, until
from tests.system.server import Server

pytestmark = pytest.mark.system

BRIEF = {"prompt": "Name three colours.", "max_tokens": 24, "temperature": 0}
LONG = {"prompt": "Write a very long story about the sea.", "max_tokens": 2000, "temperature": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(upstreams={}, workers=2, grace=1) as server:
        yield server


def client_for(server: Server, format: type[Client], question: dict) -> Client:
    client = format(server.port, "")
    client.question = question
    return client


def model_of(server: Server) -> psutil.Process:
    """The process that the model runs in; waits for it."""
    found: list[psutil.Process] = []

    def look() -> bool:
        descendants = psutil.Process(server.process.pid).children(recursive=True)
        found[:] = [each for each in descendants if "local_model" in " ".join(each.cmdline())]
        return bool(found)

    until(look)
    return found[0]


def cpu_time(process: psutil.Process, seconds: float) -> float:
    """What it uses within so many seconds."""
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


@pytest.mark.parametrize("format", [clients.Sse, clients.Ndjson, clients.Polling, clients.Waiting, clients.Text])
def test_the_model_answers_in_every_format(server: Server, format: type[Client]) -> None:
    client = client_for(server, format, BRIEF).run()
    assert "Red" in client.text
    log = clients.log_of(server.port, client.id)
    assert client.text == "".join(text for _, kind, text in log if kind == "message")
    assert log[-1][1] == "done"


class Article(HTMLParser):
    """The text of a page's answer."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.text = ""
        self._within = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag == "article" or self._within

    def handle_endtag(self, tag: str) -> None:
        self._within = tag != "article" and self._within

    def handle_data(self, data: str) -> None:
        self.text += data if self._within else ""


def test_the_model_answers_on_the_growing_page(server: Server) -> None:
    client = client_for(server, clients.Html, BRIEF).run()
    assert isinstance(client, clients.Html)
    assert "Red" in Article(client.body).text


def test_the_model_stops_when_the_last_client_has_left_and_grace_is_over(server: Server) -> None:
    model = model_of(server)
    client = client_for(server, clients.Ndjson, LONG)
    connection = clients.connect(server.port)
    client.open = lambda: connection
    client.start()
    until(lambda: client.last > 5)
    busy = cpu_time(model, 1)
    assert busy
    client.ended = True
    connection.sock.shutdown(2)
    until(lambda: cpu_time(model, 0.5) <= busy / 20)
    assert cpu_time(model, 2) <= busy / 20
    log = clients.log_of(server.port, client.id)
    assert (log[-1][1], len(log) < LONG["max_tokens"]) == ("failed", True)


def test_a_model_that_was_killed_is_back_for_the_next_question(server: Server) -> None:
    model = model_of(server)
    running = client_for(server, clients.Sse, LONG).start()
    until(lambda: running.last > 5)
    model.kill()
    assert running.wait().failure == "upstream_broke"
    assert "Red" in client_for(server, clients.Sse, BRIEF).run().text
    assert model_of(server).pid != model.pid


def test_nothing_outlives_a_killed_server() -> None:
    with Server(upstreams={}, workers=2) as server:
        model = model_of(server)
        running = client_for(server, clients.Sse, LONG).start()
        until(lambda: running.last > 5)
        running.ended = True
        processes = psutil.Process(server.process.pid).children(recursive=True)
        assert model in processes
        assert len(processes) == 4  # two workers, the model and its supervisor
        os.kill(server.process.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(processes, timeout=clients.DEADLINE)
        for process in left:
            process.kill()
        assert not left
