"""Settings that change while the server runs: all workers follow within two seconds, and nothing is cut."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen

import pytest

from millstream.settings.changes import LOOK
from tests.system.nginx import free_port
from tests.system.package import bare_environ, run
from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

FAST = {"kind": "demo", "models": ["demo"], "pace": 100000, "tokens": 3}
DEADLINE = 60.0  # s; how soon a change is promised, `test_two_looks_are_soon_enough` says


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server({"demo": FAST}, workers=2) as server:
        yield server


def keys(server: Server, *words: str) -> str:
    environ = {**os.environ, "MILLSTREAM_CONFIG": str(server.config)}
    return run(sys.executable, "-m", "millstream", "keys", *words, cwd=ROOT, env=environ).splitlines()[0]


def follows(server: Server, says: Callable[[], object], wanted: object) -> None:
    """Each worker says so, asked while the other stands still."""
    pids = server.worker_pids()
    assert len(pids) == server.workers
    for pid in pids:
        others = [other for other in pids if other != pid]
        try:
            for other in others:
                os.kill(other, signal.SIGSTOP)
            until = time.monotonic() + DEADLINE
            while (said := says()) != wanted:
                assert time.monotonic() < until, f"{said}, not {wanted}: {server.text()}"
                time.sleep(0.05)
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)


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
    follows(server, lambda: status(server), 401)
    assert status(server, anna) == 200
    bob = keys(server, "add", "bob")
    follows(server, lambda: status(server, bob), 200)
    keys(server, "revoke", "anna")
    follows(server, lambda: status(server, anna), 401)
    keys(server, "revoke", "bob")
    follows(server, lambda: status(server), 200)
    until_said(server, "the changed settings are in force")


def test_two_looks_are_soon_enough() -> None:
    assert 3 * LOOK < 2.0


def test_flask_run_follows_too(tmp_path: Path) -> None:
    config, port = tmp_path / "millstream.toml", free_port()
    config.write_text("[upstreams.demo]\nkind = 'demo'\n")
    environ = bare_environ(MILLSTREAM_CONFIG=str(config), MILLSTREAM_STATE=str(tmp_path / "state"))
    command = [sys.executable, "-m", "flask", "run", "--port", str(port)]
    with (tmp_path / "log").open("w") as log, Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log) as flask:
        try:
            for key, wanted in (("", "object"), (f"[keys.a]\nsha256 = '{'a' * 64}'\n", "error")):
                config.write_text(config.read_text() + key)
                until = time.monotonic() + DEADLINE
                while wanted not in said(port):
                    assert flask.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()
                    time.sleep(0.1)
        finally:
            flask.terminate()


def said(port: int) -> dict[str, object]:
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with suppress(ConnectionRefusedError), closing(connection):
        connection.request("GET", "/v1/models")
        return dict(json.loads(connection.getresponse().read()))
    return {}


def test_upstreams_limits_and_prices_change_while_an_answer_runs(server: Server) -> None:
    edit(
        server, "[upstreams.demo]", "[upstreams.slow]\nkind = 'demo'\nmodels = ['slow']\npace = 20\n[upstreams.demo]"
    )
    follows(server, lambda: models(server), ["slow", "demo"])
    connection = server.connect()
    connection.request("POST", "/chat", "prompt=x&model=slow", {"Content-Type": "application/x-www-form-urlencoded"})
    running = connection.getresponse()
    assert running.read(1)
    edit(server, "'slow'", "'other'")
    edit(server, "[upstreams", "[prices.demo]\ninput = 1000000\noutput = 1000000\n[upstreams")
    follows(server, lambda: models(server), ["other", "demo"])
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
    follows(server, lambda: asked(server), 413)


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
    until_said(server, "were not applied: keys.anna.sha256 has to be 64 hexadecimal digits")
    server.config.write_text("ttl = 7\n" + before)
    until_said(server, "changed settings that need a restart: ttl")
    assert status(server) == 200
    assert server.text().count("not applied") == 1
    assert f"millstream.toml, line {line})" in server.text()


def until_said(server: Server, words: str) -> None:
    limit = time.monotonic() + DEADLINE
    while words not in server.text():
        assert time.monotonic() < limit, server.text()
        time.sleep(0.05)
