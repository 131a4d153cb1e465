"""Keys and log-ins as an operator and a browser use them: real gunicorn, two workers, a new start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import openai
import pytest

from millstream.access.keyring import digest
from tests.system.server import DEADLINE, ROOT, Server

pytestmark = pytest.mark.system

ANNA_SHA256 = digest("ms-anna")
FLASK = [sys.executable, "-m", "flask"]


def flask(server: Server, *words: str) -> str:
    """Runs `flask keys …` in the project's folder, as the README has it; gives what it prints."""
    environ = {**os.environ, "MILLSTREAM_CONFIG": str(server.config)}
    ran = subprocess.run(
        [*FLASK, "keys", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    return ran.stdout.strip()


def until(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.02)


def status(server: Server, **headers: str) -> int:
    return server.get("/v1/models", **headers)[0]


def log_in(server: Server, key: str) -> dict[str, str]:
    """The Cookie header of a browser that has logged in."""
    connection = server.connect()
    connection.request("POST", "/login", json.dumps({"key": key}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 204
    cookie = response.getheader("Set-Cookie", "").partition(";")[0]
    connection.close()
    return {"Cookie": cookie}


def log_out(server: Server, cookie: dict[str, str]) -> int:
    connection = server.connect()
    connection.request("POST", "/logout", headers={**cookie, "Origin": server.url})
    response = connection.getresponse()
    connection.close()
    return response.status


def asked_on(connection: http.client.HTTPConnection, cookie: dict[str, str]) -> int:
    connection.request("GET", "/v1/models", headers=cookie)
    response = connection.getresponse()
    response.read()
    return response.status


def kept_connections(server: Server, cookie: dict[str, str]) -> list[http.client.HTTPConnection]:
    """Enough of them that each worker has some."""
    found = [server.connect() for _ in range(12)]
    assert [asked_on(connection, cookie) for connection in found] == [200] * len(found)
    return found


def reload(server: Server, signs: Callable[[], bool]) -> None:
    old = server.worker_pids()
    server.process.send_signal(signal.SIGHUP)
    until(signs)
    until(lambda: not set(old) & set(server.worker_pids()))


def test_a_key_is_made_counts_after_sighup_and_ends_with_its_log_ins() -> None:
    with Server(workers=2) as server:
        assert status(server) == 200  # no keys: this machine
        key = flask(server, "add", "anna", "--operator", "--model", "demo", "--streams", "3")
        assert key.startswith("ms-")
        assert key not in server.config.read_text()
        assert flask(server, "list") == "anna\toperator models=demo streams=3"
        reload(server, lambda: status(server) == 401)
        assert status(server, Authorization=f"Bearer {key}") == 200
        cookie = log_in(server, key)
        assert all(status(server, **cookie) == 200 for _ in range(10))
        other = flask(server, "add", "bob")
        flask(server, "revoke", "anna")
        reload(server, lambda: status(server, Authorization=f"Bearer {other}") == 200)
        assert status(server, Authorization=f"Bearer {key}") == status(server, **cookie) == 401


def test_a_worker_that_leaves_knows_of_a_revoked_key_too() -> None:
    slow = {"demo": {"kind": "demo", "models": ["demo"], "pace": 1}}
    with Server(upstreams=slow, workers=1, grace=0) as server:
        key = flask(server, "add", "anna")
        reload(server, lambda: status(server) == 401)
        cookie = log_in(server, key)
        kept = kept_connections(server, cookie)
        kept[0].request("POST", "/chat", "prompt=Hi", {**cookie, "Origin": server.url, "Accept": "text/plain"})
        stream = kept[0].getresponse()  # holds the worker
        assert stream.read(1)
        (old,) = server.worker_pids()
        flask(server, "add", "bob")
        flask(server, "revoke", "anna")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(server.worker_pids()) == 2)
        until(lambda: status(server, **cookie) == 401)
        _, first, *others = kept
        until(lambda: asked_on(first, cookie) == 401)  # the old one has heard the signal
        assert [asked_on(connection, cookie) for connection in others] == [401] * len(others)
        for connection in kept[1:]:
            connection.close()
        assert old in server.worker_pids()
        assert stream.read(1)  # what runs goes on
        kept[0].close()


def test_a_log_out_counts_on_all_workers_and_after_a_new_start() -> None:
    with Server(workers=2, keys={"anna": {"sha256": ANNA_SHA256}}) as server:
        stolen, kept = log_in(server, "ms-anna"), log_in(server, "ms-anna")
        assert log_out(server, stolen) == 303
        assert [status(server, **stolen) for _ in range(10)] == [401] * 10
        assert [status(server, **kept) for _ in range(10)] == [200] * 10
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(DEADLINE)
        server.start()
        assert status(server, **stolen) == 401
        assert status(server, **kept) == 200


def test_attempts_to_log_in_are_counted_over_all_workers() -> None:
    with Server(workers=2, login_attempts=6, keys={"anna": {"sha256": ANNA_SHA256}}) as server:
        statuses = []
        for n in range(20):
            connection = server.connect()
            forged = {
                "Content-Type": "application/json",
                "X-Forwarded-For": f"10.0.0.{n}",
                "X-Real-IP": f"10.0.0.{n}",
            }
            connection.request("POST", "/login", json.dumps({"key": f"guess{n}"}), forged)
            statuses.append(connection.getresponse().status)
            connection.close()
        assert statuses == [401] * 6 + [429] * 14


def test_openais_package_sends_the_key_and_hears_what_is_wrong() -> None:
    keys = {"anna": {"sha256": ANNA_SHA256, "models": ["demo"]}}
    demo = {"kind": "demo", "models": ["demo", "other"], "pace": 100000, "tokens": 3}
    question = {"messages": [{"role": "user", "content": "Hi"}]}
    with Server({"demo": demo}, keys=keys) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="ms-anna", max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["demo"]
            assert client.chat.completions.create(model="demo", **question).choices[0].message.content
            with pytest.raises(openai.PermissionDeniedError) as refused:
                client.chat.completions.create(model="other", **question)
            assert refused.value.code == "model_not_allowed"
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="ms-wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as unknown:
                client.chat.completions.create(model="demo", stream=True, **question)
            assert (unknown.value.code, unknown.value.type) == ("invalid_key", "authentication_error")


def test_flask_keys_works_where_the_server_cant_start(tmp_path) -> None:
    config = tmp_path / "millstream.toml"
    config.write_text("# mine\nttl = 'wrong'\n")
    environ = {**os.environ, "MILLSTREAM_CONFIG": str(config), "MILLSTREAM_GRACE": "wrong"}
    ran = subprocess.run([*FLASK, "keys", "add", "a"], cwd=ROOT, env=environ, capture_output=True, check=True)
    assert ran.stdout.startswith(b"ms-")
    assert config.read_text().startswith("# mine\nttl = 'wrong'\n\n[keys.a]\n")
    ran = subprocess.run([*FLASK, "keys", "add", "a"], cwd=ROOT, env=environ, capture_output=True)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"has [keys.a] already" in ran.stderr
