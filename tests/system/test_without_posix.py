"""The server on a system that lacks fcntl, AF_UNIX and their like, as Windows does. They are hidden here; on Windows
itself nobody has tried it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.commands.ollama import Ollama
from tests.system.nginx import free_port
from tests.system.package import DEADLINE, bare_environ, run
from tests.system.server import ROOT

pytestmark = pytest.mark.system

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# Python reads it when it starts. gevent itself has other ways on Windows: it is at work before anything is hidden.
HIDING = """
import fcntl, os, select, socket, sys, types
from gevent import monkey
monkey.patch_all()
msvcrt = sys.modules["msvcrt"] = types.ModuleType("msvcrt")  # https://docs.python.org/3/library/msvcrt.html
msvcrt.LK_LOCK, msvcrt.LK_NBLCK = 1, 2
kinds = {msvcrt.LK_LOCK: fcntl.LOCK_EX, msvcrt.LK_NBLCK: fcntl.LOCK_EX | fcntl.LOCK_NB}
msvcrt.locking = lambda fd, kind, size, flock=fcntl.flock: flock(fd, kinds[kind])
for name in ("fcntl", "termios", "resource", "pwd", "grp", "gunicorn"):
    sys.modules[name] = None
posix = "posix_spawn fork fchown fchmod getuid geteuid O_NOFOLLOW pread symlink"
for module, names in ((socket, "AF_UNIX MSG_DONTWAIT"), (select, "poll epoll"), (os, posix)):
    for name in names.split():
        module.__dict__.pop(name, None)
print("hidden", file=sys.stderr)
"""


def environ(folder: Path, **more: str) -> dict[str, str]:
    (folder / "sitecustomize.py").write_text(HIDING)
    own = {
        "PYTHONPATH": f"{folder}:{ROOT}",
        "MILLSTREAM_STATE": f"{folder}/state",
        "MILLSTREAM_CONFIG": f"{folder}/m.toml",
    }
    (folder / "m.toml").touch()
    return bare_environ(**own, **more)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[HTTPConnection, Path]]:
    port = free_port()
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "millstream"], cwd=folder, env=environ(folder, PORT=str(port)),
            stdout=log, stderr=log, process_group=0,
        )  # fmt: skip
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        limit = time.monotonic() + DEADLINE
        while True:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                assert server.poll() is None and time.monotonic() < limit, (folder / "log").read_text()
                time.sleep(0.1)
        yield connection, folder / "log"
    finally:
        connection.close()
        os.killpg(server.pid, signal.SIGINT)
        server.wait(DEADLINE)
    assert "Traceback" not in (folder / "log").read_text()


def test_it_serves_under_waitress_and_says_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path) as (connection, log):
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200 and len(response.read()) > 1000
        form = {**FORM, "Accept": "text/event-stream"}
        connection.request("POST", "/chat", "prompt=x&model=demo%3Fpace%3D20", form)
        response = connection.getresponse()
        id = response.getheader("Content-Location")
        assert b"event: start" in response.read(200)  # before the end: that is ten seconds away
        other = HTTPConnection(connection.host, connection.port, timeout=60)
        other.request("POST", f"{id}/stop", headers={"Content-Length": "0"})
        assert other.getresponse().status == 204
        other.close()
        assert b'"finish_reason":"cancelled"' in response.read()
        for words in ("waitress serves in one process", "streams are kept in memory and end", "store: memory"):
            assert words in log.read_text()
        assert log.read_text().startswith("hidden\n")


def test_an_upstream_is_asked_and_asked_again(tmp_path: Path) -> None:
    with Ollama("m") as ollama:
        table = f'[upstreams.a]\nkind = "openai"\nbase_url = "http://{ollama.host}/v1"\nmodels = ["m"]\n'
        (tmp_path / "m.toml").write_text(table)
        with serving(tmp_path) as (connection, _):
            for _ in range(3):
                connection.request("POST", "/chat", "prompt=x", FORM)
                assert connection.getresponse().read() == b"one two three"
        assert ollama.asked == ["m"] * 3


def test_a_proxy_is_still_noticed(tmp_path: Path) -> None:
    with serving(tmp_path) as (connection, _):
        connection.request("GET", "/v1/models", headers={"X-Forwarded-For": "192.0.2.1"})
        response = connection.getresponse()
        assert (response.status, b"through a proxy" in response.read()) == (403, True)


def began(connection: HTTPConnection, pace: int) -> str:
    """Where the stream is; the same for the same pace."""
    fields = f"prompt=x&model=demo%3Fpace%3D{pace}"
    connection.request("POST", "/streams", fields, {**FORM, "Idempotency-Key": str(pace)})
    return str(json.loads(connection.getresponse().read())["url"])


def heard(connection: HTTPConnection, place: str, method: str = "GET") -> str:
    connection.request(method, place, headers={"Accept": "text/event-stream"})
    return re.sub("retry: [0-9]+", "", connection.getresponse().read().decode())  # which differs on purpose


def test_a_file_store_keeps_streams_over_a_restart_and_ends_what_ran(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(f"store = 'file:{tmp_path}/logs'\n[upstreams.demo]\nkind = 'demo'\n")
    with serving(tmp_path) as (connection, log):
        whole, running = began(connection, 1000), began(connection, 1)
        said = heard(connection, whole)
        assert "event: done" in said and "kept in memory" not in log.read_text()
    with serving(tmp_path) as (connection, _):
        assert heard(connection, began(connection, 1000)) == said
        assert '"code":"interrupted"' in heard(connection, running)
        heard(connection, whole, "DELETE")
        assert '"code":"stream_not_found"' in heard(connection, whole)


def test_changed_settings_are_taken_up(tmp_path: Path) -> None:
    with serving(tmp_path) as (connection, log):
        key = run(sys.executable, "-m", "millstream", "keys", "add", "anna", env=environ(tmp_path, PORT="0"))
        assert key.startswith("ms-")
        limit = time.monotonic() + DEADLINE
        while "missing_key" not in heard(connection, "/v1/models"):
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.1)
        assert "the changed settings are in force" in log.read_text()
