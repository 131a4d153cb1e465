"""Settings that change while the server runs: all workers follow within two seconds, and nothing is cut."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.system.package import run
from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

FAST = {"kind": "demo", "models": ["demo"], "pace": 100000, "tokens": 3}
LATE = 2.0  # s that a change may take; the test's patience is longer, for a busy machine


@pytest.fixture
def server() -> Iterator[Server]:
    with Server({"demo": FAST}, workers=2) as server:
        yield server


def keys(server: Server, *words: str) -> str:
    environ = {**os.environ, "MILLSTREAM_CONFIG": str(server.config)}
    return run(sys.executable, "-m", "millstream", "keys", *words, cwd=ROOT, env=environ).splitlines()[0]


def follows(says: Callable[[], object], wanted: object) -> float:
    """How long it takes until twenty connections, which both workers take, all say so."""
    begun = time.monotonic()
    while any(says() != wanted for _ in range(20)):
        assert time.monotonic() - begun < 30, f"{says()}, not {wanted}"
        time.sleep(0.05)
    return time.monotonic() - begun


def status(server: Server, key: str = "") -> int:
    return server.get("/v1/models", **({"Authorization": f"Bearer {key}"} if key else {}))[0]


def models(server: Server) -> list[str]:
    return [model["id"] for model in json.loads(server.get("/v1/models")[1])["data"]]


def edit(server: Server, old: str, new: str) -> None:
    text = server.config.read_text()
    assert old in text
    server.config.write_text(text.replace(old, new, 1))


def test_a_key_counts_at_once_and_a_revoked_one_does_not(server: Server) -> None:
    anna = keys(server, "add", "anna")
    took = [follows(lambda: status(server), 401)]
    assert status(server, anna) == 200
    bob = keys(server, "add", "bob")
    took.append(follows(lambda: status(server, bob), 200))
    keys(server, "revoke", "anna")
    took.append(follows(lambda: status(server, anna), 401))
    assert min(took) < LATE


def test_upstreams_limits_and_prices_change_while_an_answer_runs(server: Server) -> None:
    edit(
        server, "[upstreams.demo]", "[upstreams.slow]\nkind = 'demo'\nmodels = ['slow']\npace = 20\n[upstreams.demo]"
    )
    follows(lambda: models(server), ["slow", "demo"])
    connection = server.connect()
    connection.request("POST", "/chat", "prompt=x&model=slow", {"Content-Type": "application/x-www-form-urlencoded"})
    running = connection.getresponse()
    assert running.read(1)
    edit(server, "'slow'", "'other'")
    edit(server, "[upstreams", "[prices.demo]\ninput = 1000000\noutput = 1000000\n[upstreams")
    follows(lambda: models(server), ["other", "demo"])
    assert len(running.read(100)) == 100  # what began goes on
    running.close()
    connection.close()
    connection = server.connect()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    connection.request("POST", "/chat", '{"prompt": "x", "model": "demo"}', headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert float(answer["cost"]) >= 3
    server.config.write_text("max_prompt = 1\n" + server.config.read_text())
    follows(lambda: asked(server), 413)


def asked(server: Server) -> int:
    connection = server.connect()
    connection.request(
        "POST", "/chat", "prompt=long&model=demo", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_wrong_edit_changes_nothing_and_is_logged_once_with_its_line(server: Server) -> None:
    before = server.config.read_text()
    server.config.write_text(before + "[keys.anna]\nsha256 = 'short'\n")
    line = before.count("\n") + 2
    until_said(server, "are not taken up: keys.anna.sha256 has to be 64 hexadecimal digits")
    server.config.write_text("ttl = 7\n" + before)
    until_said(server, "changed settings that need a restart: ttl")
    assert status(server) == 200
    assert server.text().count("not taken up") == 1
    assert f"millstream.toml, line {line})" in server.text()


def until_said(server: Server, words: str) -> None:
    limit = time.monotonic() + 30
    while words not in server.text():
        assert time.monotonic() < limit, server.text()
        time.sleep(0.05)
