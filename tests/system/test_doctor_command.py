"""`flask doctor` and the page /doctor: with and without access keys, from a file, the environment or a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from millstream.access.keyring import digest
from millstream.doctor.examination import CantBegin, begin_at, examine
from millstream.doctor.marks import Plan
from millstream.doctor.probe import Probe, Target, follow
from tests.system.backend import Backend
from tests.system.idle import BUSY, again
from tests.system.nginx import ROOT, Nginx
from tests.system.server import DEADLINE, Server
from tests.system.ways import nginx
from tests.upstreams.spark_server import API_SECRET, SparkServer, frame

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(open=1, trusted_proxies=1) as server:
        yield server


def flask(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MILLSTREAM_", "OPENAI_"))}
    environ |= variables
    command = [sys.executable, "-m", "flask", "doctor", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def busy(done: subprocess.CompletedProcess[str]) -> bool:
    return BUSY in done.stdout


def test_the_command_says_all_well_over_https_and_http2(server: Server) -> None:
    with Nginx(server.port, tls=True) as front:
        url = f"https://127.0.0.1:{front.tls_port}"
        done = again(lambda: flask(url, "--server", server.url, "--idle", "0", "--insecure"), busy)
    assert (done.returncode, "sse over HTTP/2" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "All well" in done.stdout


def test_curl_gets_a_key_as_it_is() -> None:
    key = r'a"b\"c\\n'
    with Backend() as backend, ThreadPoolExecutor() as pool:
        target = Target(f"http://127.0.0.1:{backend.port}", key)
        asked = pool.submit(follow, Probe(Plan(), "text", "2"), target, "id", 0.0)
        exchange = backend.next()
        exchange.close()
        asked.result()
    assert exchange.headers["authorization"] == f"Bearer {key}"


def test_the_command_says_what_to_do_and_exits_with_1(server: Server) -> None:
    with nginx(server.port, version="proxy_http_version 1.0;") as way:
        done = flask(f"http://127.0.0.1:{way.port}", "--server", server.url, "--idle", "0")
    assert done.returncode == 1
    assert "✗ Asked over HTTP/1.0" in done.stdout
    assert "      proxy_http_version 1.1;" in done.stdout
    assert "Apache" not in done.stdout


def test_the_page_does_the_same(server: Server) -> None:
    with nginx(server.port, version="proxy_http_version 1.0;") as way, closing(server.connect()) as connection:
        form = urlencode({"url": f"http://127.0.0.1:{way.port}", "idle": 0})
        connection.request("POST", "/doctor", form, {"Content-Type": "application/x-www-form-urlencoded"})
        page = connection.getresponse().read().decode()
    assert "Asked over HTTP/1.0" in page
    assert "<pre>proxy_http_version 1.1;" in page


def test_a_server_that_is_closed_to_the_proxy_says_how_to_open_it() -> None:
    with Server() as server, Nginx(server.port) as front:
        report = examine(Target(f"http://127.0.0.1:{front.port}"), begin_at(server.url, ""), 0)
    assert [finding.symptom for finding in report.findings] == ["refused"]
    assert "MILLSTREAM_OPEN=1" in report.findings[0].says


def test_marks_are_for_the_operator_alone(server: Server) -> None:
    with Nginx(server.port) as front, pytest.raises(CantBegin, match="for the operator"):
        examine(Target(server.url), begin_at(f"http://127.0.0.1:{front.port}", ""), 0)
    with closing(server.connect()) as connection:
        connection.request("POST", "/doctor/marks", "{}", {"Via": "1.1 x", "Content-Type": "application/json"})
        assert connection.getresponse().status == 403


KEYS = {
    "anna": {"sha256": digest("ms-anna"), "operator": True},
    "bob": {"sha256": digest("ms-bob")},
}


@pytest.fixture(scope="module")
def locked() -> Iterator[tuple[Server, Nginx]]:
    """A server with access keys, behind our nginx.conf."""
    with Server(keys=KEYS, trusted_proxies=1) as server, Nginx(server.port) as front:
        yield server, front


@pytest.fixture
def arguments(locked: tuple[Server, Nginx]) -> list[str]:
    server, front = locked
    return [f"http://127.0.0.1:{front.port}", "--server", server.url, "--idle", "0"]


def test_a_key_comes_from_a_file_or_the_environment(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ms-anna\n")
    with ThreadPoolExecutor() as pool:
        by_file = pool.submit(again, partial(flask, *arguments, "--key-file", str(tmp_path / "key")), busy)
        by_variable = pool.submit(again, partial(flask, *arguments, DOCTOR_KEY="ms-anna"), busy)
        for done in (by_file.result(), by_variable.result()):
            assert (done.returncode, "All well" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "--key-file, or in DOCTOR_KEY"),
        ("ms-bob", "This address is for operators"),
        ("ms-wrong", "not valid"),
        ("two words", "no key can have"),
    ],
)
def test_without_the_operators_key_the_doctor_says_what_to_do(arguments: list[str], key: str, says: str) -> None:
    done = flask(*arguments, DOCTOR_KEY=key)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert "ms-" not in done.stderr


def test_at_a_terminal_the_doctor_asks_for_the_key_and_does_not_show_it(arguments: list[str]) -> None:
    at_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", at_terminal, sys.executable, "-m", "flask", "doctor", *arguments]

    def asked() -> tuple[int, bytes]:
        pipe, said = subprocess.PIPE, b""
        with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, bufsize=0) as doctor:
            assert doctor.stdin and doctor.stdout
            while data := doctor.stdout.read(4096):
                said += data
                if said.endswith(b"access key: "):
                    doctor.stdin.write(b"ms-anna\n")
        return doctor.returncode, said

    status, said = again(asked, lambda done: BUSY.encode() in done[1])
    assert (status, b"All well" in said) == (0, True), said
    assert b"ms-anna" not in said


def test_the_page_is_for_whoever_has_logged_in_as_the_operator(locked: tuple[Server, Nginx]) -> None:
    server, front = locked

    def ask(method: str, path: str, form: dict[str, object] | None = None, **headers: str) -> HTTPResponse:
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        with closing(server.connect()) as connection:
            connection.request(method, path, urlencode(form) if form else None, headers)
            response = connection.getresponse()
            response.text = response.read().decode()
            return response

    def log_in(key: str) -> str:
        return ask("POST", "/login", {"key": key}, Origin=server.url).headers["Set-Cookie"].partition(";")[0]

    assert ask("GET", "/doctor").headers["Location"].startswith("/login")
    assert ask("GET", "/doctor", Cookie=log_in("ms-bob")).status == 403
    cookie = log_in("ms-anna")
    (token,) = re.findall('name="token" value="([^"]+)"', ask("GET", "/doctor", Cookie=cookie).text)
    found = {}
    for key in ("ms-anna", ""):
        form = {"url": f"http://127.0.0.1:{front.port}", "key": key, "idle": 0, "token": token}
        post = partial(ask, "POST", "/doctor", form, Cookie=cookie)  # as an old browser, which sends no Origin
        found[key] = again(lambda post=post: post().text, lambda page: BUSY in page)
    assert "All well" in found["ms-anna"]
    assert "ms-anna" not in found["ms-anna"]
    assert "<b>Refused</b>: status 401" in found[""]


def test_the_local_model_is_tried_as_any_upstream(tmp_path: Path) -> None:
    (tmp_path / "m.toml").touch()
    done = flask("--upstream", "local", MILLSTREAM_CONFIG=str(tmp_path / "m.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    told = dict(line[2:].split(": ", 1) for line in done.stdout.splitlines())
    assert list(told) == ["key", "first token", "rate", "usage"]
    assert told["key"] == "none given, and none asked for"
    assert re.fullmatch(r"told: \d+ \+ \d+ tokens", told["usage"])


@pytest.mark.parametrize(
    ("name", "skew", "status", "says"),
    [
        ("spark", 0, 0, "✓ usage: told: 5 + 9 tokens"),
        ("spark", 400, 1, "✗ clock: 400 s behind"),
        ("sprak", 0, 2, "there is no upstream 'sprak'; there is spark"),
    ],
)
def test_an_upstream_s_state_is_the_commands_status(
    tmp_path: Path, name: str, skew: float, status: int, says: str
) -> None:
    spark = SparkServer([frame("one ", 0), 0.01, frame("two "), 0.01, frame("", 2, usage=(5, 9))], skew=skew)
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in spark.table.items())
    (tmp_path / "m.toml").write_text(f"[upstreams.spark]\n{lines}\n")
    done = flask("--upstream", name, MILLSTREAM_CONFIG=str(tmp_path / "m.toml"))
    spark.close()
    told = (done.stdout + done.stderr).replace("401 s", "400 s").replace("399 s", "400 s")
    assert (done.returncode, says in told) == (status, True), told
    assert API_SECRET not in told


def test_a_server_that_is_away_is_said_so(server: Server) -> None:
    done = flask("http://127.0.0.1:9", "--server", "http://127.0.0.1:9", "--idle", "0")
    assert (done.returncode, "does not answer at http://127.0.0.1:9" in done.stderr) == (2, True)
