"""The doctor before ways that are broken on purpose: it names the symptom, and its own advice mends it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from millstream.access.keyring import digest
from millstream.doctor.advice import ADVICE, advice
from millstream.doctor.diagnosis import Finding, diagnose
from millstream.doctor.examination import CantBegin, Report, begin_at, examine
from millstream.doctor.probe import Target
from tests.system.nginx import ROOT, Nginx, certificate
from tests.system.server import DEADLINE, Server
from tests.system.ways import Faulty, apache, caddy, haproxy, nginx
from tests.upstreams.spark_server import API_SECRET, SparkServer, frame

pytestmark = pytest.mark.system

SILENCE = 6.0  # s
IGNORING = "proxy_ignore_headers X-Accel-Buffering;"  # else nginx does what the server asks for
TYPES = "gzip_types text/plain text/event-stream application/x-ndjson;"


RETYPED = "proxy_hide_header Content-Type; add_header Content-Type text/html;"
HTTP_1_0 = "SetEnv force-proxy-request-1.0 1"


def lines_of(symptom: str, server: str) -> str:
    (lines,) = advice(symptom, server).values()
    return lines


def ways(port: int) -> dict[str, tuple[object, str]]:
    """Broken ways, with the symptom that each has to have."""
    proxied = f"ProxyPass / http://127.0.0.1:{port}/"
    return {
        "nginx's defaults": (nginx(port, buffering=IGNORING, version="", connection=""), "held"),
        "nginx compresses": (nginx(port, gzip=f"gzip on; gzip_min_length 0; {TYPES}"), "compressed"),
        "nginx asks over HTTP/1.0": (nginx(port, version="proxy_http_version 1.0;"), "http10"),
        "nginx is impatient": (nginx(port, timeout="proxy_read_timeout 3s;"), "cut"),
        "nginx hides a header": (nginx(port, keepalive="on", more="proxy_hide_header Cache-Control;"), "headers"),
        "nginx drops what clients say": (nginx(port, more='proxy_set_header Last-Event-ID "";'), "headers"),
        "nginx says it is HTML": (nginx(port, more=RETYPED), "type"),
        "Apache deflates": (apache(proxied), "compressed"),
        "Apache asks over HTTP/1.0": (apache(f"{proxied}\nSetEnv no-gzip 1\n{HTTP_1_0}"), "http10"),
        "Caddy compresses": (caddy(port, "encode gzip"), "compressed"),
        "HAProxy is impatient": (haproxy(port, "timeout server 3s"), "cut"),
        "all is withheld": (Faulty(port, withhold=True), "held"),
        "it comes in bursts": (Faulty(port, every=0.8), "bursts"),
        "no Content-Type": (Faulty(port, strip=("content-type",)), "type"),
        "cut after 5 s": (Faulty(port, idle=5.0), "cut"),
    }


def mended(port: int) -> dict[str, object]:
    """The same ways with the advice's own lines in them; of a proxy with a fault of its own, without the fault."""
    lines = {symptom: lines_of(symptom, "nginx") for symptom in ("held", "compressed", "http10", "cut")}
    flow = lines_of("held", "apache").replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}")
    return {
        "nginx's defaults": nginx(
            port, buffering=IGNORING + lines["held"], cache="", version=lines["http10"], connection=""
        ),
        "nginx compresses": nginx(port, gzip=f"{lines['compressed']} {TYPES}"),
        "nginx asks over HTTP/1.0": nginx(port, version=lines["http10"], connection=""),
        "nginx is impatient": nginx(port, timeout=lines["cut"]),
        "Apache deflates": apache(flow + "\n" + lines_of("compressed", "apache")),
        "Apache asks over HTTP/1.0": apache(f"{flow}\nSetEnv no-gzip 1\n{HTTP_1_0}\n{lines_of('http10', 'apache')}"),
        "Caddy compresses": caddy(port, lines_of("compressed", "caddy")),
        "HAProxy is impatient": haproxy(port, "timeout server 3s\n" + lines_of("cut", "haproxy")),
        "a proxy without a fault": Faulty(port),
        "our own nginx.conf": Nginx(port),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(open=1, trusted_proxies=1) as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder)
    return folder


def examine_all(server: Server, ways: dict[str, object], scheme: str = "http") -> dict[str, Report]:
    """All at once: they mostly wait."""
    with ExitStack() as stack, ThreadPoolExecutor(len(ways)) as pool:
        asked: dict[str, Future[Report]] = {}
        for name, way in ways.items():
            port = stack.enter_context(way).port  # type: ignore[arg-type]
            target = Target(f"{scheme}://127.0.0.1:{port}", insecure=True)
            asked[name] = pool.submit(examine, target, begin_at(server.url, ""), SILENCE)
        return {name: report.result() for name, report in asked.items()}


@pytest.fixture(scope="module")
def broken(server: Server) -> dict[str, Report]:
    return examine_all(server, {name: way for name, (way, _) in ways(server.port).items()})


@pytest.fixture(scope="module")
def whole(server: Server) -> dict[str, Report]:
    return examine_all(server, mended(server.port))


def symptoms(report: Report) -> set[str]:
    return {finding.symptom for finding in report.findings}


@pytest.mark.parametrize("name", list(ways(0)))
def test_the_symptom_is_named(broken: dict[str, Report], name: str) -> None:
    assert_named(ways(0)[name][1], broken[name].findings)


def assert_named(expected: str, findings: list[Finding]) -> None:
    """A symptom brings others with it: what Apache compresses is a changed header, too. But the cause has to be
    there, and nothing may be said of what works."""
    with_it = {"held": {"broken", "cut", "http10"}, "compressed": {"held", "bursts", "headers"}}.get(expected, set())
    found = {finding.symptom for finding in findings}
    assert expected in found, findings
    assert found <= {expected} | with_it, findings


@pytest.mark.parametrize("name", list(mended(0)))
def test_the_advice_mends_it(whole: dict[str, Report], name: str) -> None:
    assert whole[name].findings == []


@pytest.mark.parametrize(("name", "seconds"), [("nginx is impatient", 3), ("cut after 5 s", 5)])
def test_the_time_to_a_cut_is_measured(broken: dict[str, Report], name: str, seconds: int) -> None:
    (finding,) = (finding for finding in broken[name].findings if finding.symptom == "cut")
    (measured,) = re.findall(r"after (\d+) s without a byte", finding.says)
    assert seconds <= int(measured) <= seconds + 1


def test_a_type_that_was_rewritten_is_told(broken: dict[str, Report]) -> None:
    (finding,) = broken["nginx says it is HTML"].findings
    assert "Content-Type is text/html and not text/event-stream" in finding.says


def test_the_proxy_is_known_by_its_headers(broken: dict[str, Report]) -> None:
    assert broken["nginx's defaults"].server == "nginx"
    assert broken["all is withheld"].server == ""


def test_a_proxy_that_does_not_probe_its_clients_is_noted(
    broken: dict[str, Report], whole: dict[str, Report]
) -> None:
    noted = [note.symptom for note in broken["nginx's defaults"].notes + whole["our own nginx.conf"].notes]
    assert "keepalive" not in noted
    assert "never" in keepalive(whole["a proxy without a fault"])
    assert "waits for 120 minutes" in keepalive(broken["nginx hides a header"])


def keepalive(report: Report) -> str:
    (note,) = (note for note in report.notes if note.symptom == "keepalive")
    return note.says


def over_http_2(port: int, tls: Path) -> dict[str, tuple[object, str]]:
    return {
        "held": (nginx(port, tls, buffering=IGNORING, version="proxy_http_version 1.0;"), "held"),
        "compressed": (nginx(port, tls, gzip=f"gzip on; gzip_min_length 0; {TYPES}"), "compressed"),
        "impatient": (nginx(port, tls, timeout="proxy_read_timeout 3s;"), "cut"),
        "hiding": (nginx(port, tls, more="proxy_hide_header Cache-Control;"), "headers"),
        "retyping": (nginx(port, tls, more="proxy_hide_header Content-Type;"), "type"),
    }


def test_each_symptom_is_seen_over_http_2_too(server: Server, tls: Path) -> None:
    ways = over_http_2(server.port, tls)
    for name, report in examine_all(server, {name: way for name, (way, _) in ways.items()}, "https").items():
        over_2 = diagnose([probe for probe in report.probes if probe.version == "2"])
        assert ways[name][1] in {finding.symptom for finding in over_2}, over_2
        assert all(probe.asked > 0 for probe in report.probes if probe.format != "json")


@pytest.mark.parametrize("symptom", ["held", "bursts", "compressed", "http10", "cut", "headers", "type"])
def test_there_is_advice_for_every_proxy(symptom: str) -> None:
    assert set(ADVICE[symptom]) == {"nginx", "apache", "caddy", "haproxy", "cloudflare"}


def flask(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MILLSTREAM_", "OPENAI_"))}
    environ |= variables
    command = [sys.executable, "-m", "flask", "doctor", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def test_the_command_says_all_well_over_https_and_http2(server: Server) -> None:
    with Nginx(server.port, tls=True) as front:
        url = f"https://127.0.0.1:{front.tls_port}"
        done = flask(url, "--server", server.url, "--idle", "0", "--insecure")
    assert (done.returncode, "sse over HTTP/2" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "All well" in done.stdout


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
    assert symptoms(report) == {"refused"}
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
        by_file = pool.submit(flask, *arguments, "--key-file", str(tmp_path / "key"))
        by_variable = pool.submit(flask, *arguments, DOCTOR_KEY="ms-anna")
        for done in (by_file.result(), by_variable.result()):
            assert (done.returncode, "All well" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "--key-file, or in DOCTOR_KEY"),
        ("ms-bob", "This is for the operator"),
        ("ms-wrong", "not known here"),
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
    pipe, said = subprocess.PIPE, b""
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, bufsize=0) as doctor:
        assert doctor.stdin and doctor.stdout
        while data := doctor.stdout.read(4096):
            said += data
            if said.endswith(b"access key: "):
                doctor.stdin.write(b"ms-anna\n")
    assert (doctor.returncode, b"All well" in said) == (0, True), said
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
        found[key] = ask("POST", "/doctor", form, Cookie=cookie).text  # as an old browser, which sends no Origin
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
