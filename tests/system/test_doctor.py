"""The doctor before ways that are broken on purpose: it names the symptom, and its own advice mends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from urllib.parse import urlencode

import pytest

from millstream.doctor.advice import ADVICE, advice
from millstream.doctor.examination import CantBegin, Report, begin_at, examine
from millstream.doctor.probe import Target
from tests.system.nginx import ROOT, Nginx
from tests.system.server import DEADLINE, Server
from tests.system.ways import Faulty, apache, nginx

pytestmark = pytest.mark.system

SILENCE = 6.0  # s
IGNORING = "proxy_ignore_headers X-Accel-Buffering;"  # else nginx does what the server asks for
TYPES = "gzip_types text/plain text/event-stream application/x-ndjson;"


def ways(port: int) -> dict[str, tuple[object, str]]:
    """Broken ways, with the symptom that each has to have."""
    proxied = f"ProxyPass / http://127.0.0.1:{port}/"
    return {
        "nginx's defaults": (nginx(port, buffering=IGNORING, version="", connection=""), "held"),
        "nginx compresses": (nginx(port, gzip=f"gzip on; gzip_min_length 0; {TYPES}"), "compressed"),
        "nginx asks over HTTP/1.0": (nginx(port, version="proxy_http_version 1.0;"), "http10"),
        "nginx is impatient": (nginx(port, timeout="proxy_read_timeout 3s;"), "cut"),
        "nginx hides a header": (nginx(port, more="proxy_hide_header Cache-Control;"), "headers"),
        "Apache deflates": (apache(proxied), "compressed"),
        "all is withheld": (Faulty(port, withhold=True), "held"),
        "it comes in bursts": (Faulty(port, every=0.8), "bursts"),
        "no Content-Type": (Faulty(port, strip=("content-type",)), "type"),
        "cut after 5 s": (Faulty(port, idle=5.0), "cut"),
    }


def mended(port: int) -> dict[str, object]:
    """The same ways with the advice's own lines in them; of a proxy with a fault of its own, without the fault."""
    lines = {symptom: advice(symptom, "nginx")["nginx"] for symptom in ("held", "compressed", "http10", "cut")}
    flow = advice("held", "apache")["Apache"].replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}")
    return {
        "nginx's defaults": nginx(
            port, buffering=IGNORING + lines["held"], cache="", version=lines["http10"], connection=""
        ),
        "nginx compresses": nginx(port, gzip=f"{lines['compressed']} {TYPES}"),
        "nginx asks over HTTP/1.0": nginx(port, version=lines["http10"], connection=""),
        "nginx is impatient": nginx(port, timeout=lines["cut"]),
        "Apache deflates": apache(flow + "\n" + advice("compressed", "apache")["Apache"]),
        "a proxy without a fault": Faulty(port),
        "our own nginx.conf": Nginx(port),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(open=1, trusted_proxies=1) as server:
        yield server


def examine_all(server: Server, ways: dict[str, object]) -> dict[str, Report]:
    """All at once: they mostly wait."""
    with ExitStack() as stack, ThreadPoolExecutor(len(ways)) as pool:
        asked: dict[str, Future[Report]] = {}
        for name, way in ways.items():
            port = stack.enter_context(way).port  # type: ignore[arg-type]
            target = Target(f"http://127.0.0.1:{port}")
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
    expected = ways(0)[name][1]
    # A symptom brings others with it: what Apache compresses is a changed header, too. But the cause has to be there,
    # and nothing may be said of what works.
    with_it = {"held": {"broken", "cut", "http10"}, "compressed": {"held", "bursts", "headers"}}.get(expected, set())
    found = symptoms(broken[name])
    assert expected in found, broken[name].findings
    assert found <= {expected} | with_it, broken[name].findings


@pytest.mark.parametrize("name", list(mended(0)))
def test_the_advice_mends_it(whole: dict[str, Report], name: str) -> None:
    assert whole[name].findings == []


@pytest.mark.parametrize(("name", "seconds"), [("nginx is impatient", 3), ("cut after 5 s", 5)])
def test_the_time_to_a_cut_is_measured(broken: dict[str, Report], name: str, seconds: int) -> None:
    (finding,) = (finding for finding in broken[name].findings if finding.symptom == "cut")
    (measured,) = re.findall(r"after (\d+) s without a byte", finding.says)
    assert seconds <= int(measured) <= seconds + 1


def test_the_proxy_is_known_by_its_headers(broken: dict[str, Report]) -> None:
    assert broken["nginx's defaults"].server == "nginx"
    assert broken["all is withheld"].server == ""


def test_a_proxy_that_does_not_probe_its_clients_is_noted(
    broken: dict[str, Report], whole: dict[str, Report]
) -> None:
    noted = [note.symptom for note in broken["nginx's defaults"].notes + whole["our own nginx.conf"].notes]
    assert "keepalive" not in noted
    assert "keepalive" in [note.symptom for note in whole["a proxy without a fault"].notes]


@pytest.mark.parametrize("symptom", ["held", "bursts", "compressed", "http10", "cut", "headers", "type"])
def test_there_is_advice_for_every_proxy(symptom: str) -> None:
    assert set(ADVICE[symptom]) == {"nginx", "apache", "caddy", "haproxy", "cloudflare"}


def flask(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MILLSTREAM_", "OPENAI_"))}
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


def test_a_server_that_is_away_is_said_so(server: Server) -> None:
    done = flask("http://127.0.0.1:9", "--server", "http://127.0.0.1:9", "--idle", "0")
    assert (done.returncode, "does not answer at http://127.0.0.1:9" in done.stderr) == (2, True)
