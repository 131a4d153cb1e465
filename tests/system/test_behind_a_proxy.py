"""docs/behind-a-proxy.md: its own text, in a real Apache, Caddy, HAProxy, Traefik; the doctor has nothing to say."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from millstream.doctor.examination import Report, begin_at
from millstream.doctor.probe import Target
from tests.system.backend import DEADLINE, Backend
from tests.system.idle import examine
from tests.system.nginx import free_port
from tests.system.server import Server
from tests.system.ways import Process, apache

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "behind-a-proxy.md").read_text("utf-8")
TRAEFIK = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)  # its static and its dynamic configuration
PROXIES = ("apache", "caddyfile", "haproxy", "traefik")


def printed(language: str, backend: int, more: int = 0) -> str:
    """The page's lines; with `more`, the port of another machine, those for several."""
    if language == "traefik":
        ports = (backend, more) if more else (backend,)
        servers = "".join(f"          - url: http://127.0.0.1:{port}\n" for port in ports)
        return TRAEFIK[1].replace("          - url: http://127.0.0.1:8000\n", servers)
    block, *several = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    assert block.count("127.0.0.1:8000") == 1
    one, two = f"127.0.0.1:{backend}", f"127.0.0.1:{more}"
    if more and language == "apache":
        block = re.sub(r"^ProxyPass.*\n", lambda _: several[0], block, flags=re.M)
        return block.replace("10.0.0.1:8000", one).replace("10.0.0.2:8000", two)
    server = f"    server two {two} check\n" if language == "haproxy" else ""
    return block.replace("127.0.0.1:8000", f"{one} {two}" if more and not server else one) + (server if more else "")


def test_the_caddyfile_is_the_printed_one() -> None:
    text = (ROOT / "deploy/Caddyfile").read_text("utf-8")
    assert re.sub(r"\A(#.*\n)+", "", text) == printed("caddyfile", 8000)


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def proxy(language: str, backend: int, more: int = 0) -> Process:
    """The page's text with ports of this test's own; for Caddy without certificates, and with nothing to steer it."""
    text = printed(language, backend, more)
    if language == "apache":
        return apache(text)
    if language == "haproxy":
        text = text.replace("maxconn 20000", "maxconn 200")  # more descriptors than a test may have
        return Process(
            escaped(text).replace(" check\n", "\n").replace("bind :80", "bind 127.0.0.1:{port}"),
            [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", "CONF"],
        )
    if language == "traefik":
        return Traefik(text)
    conf = "{{ \n admin off \n auto_https off \n}}\n" + escaped(text)
    return Process(
        conf.replace("chat.example.org", "http://:{port}", 1).replace(
            "{{\n    @op", "{{\n    bind 127.0.0.1\n    @op"
        ),
        [shutil.which("caddy") or "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "CONF"],
    )


class Traefik(Process):
    """The page's two files, for every host and without certificates. It listens before it has read its routes, so a
    route of this test's own says when it has."""

    def __init__(self, dynamic: str) -> None:
        ready = "    ready: {rule: Path(`/-ready`), service: ping@internal, priority: 999}\n"
        both = f"{TRAEFIK[0].partition('certificatesResolvers')[0]}ping: {{manualRouting: true}}\n---\n{dynamic}"
        for old, new in (
            ('":443"', '"127.0.0.1:PORT"'),
            ("/etc/traefik/millstream.yaml", "FOLDER/conf.dynamic.yaml"),
            ("  routers:\n", f"  routers:\n{ready}"),
            ("Host(`chat.example.org`)", "PathPrefix(`/`)"),
            ("      tls: {certResolver: letsencrypt}\n", ""),
        ):
            assert both.count(old) == 1
            both = both.replace(old, new)
        split = "sed '1,/^---$/d' CONF > CONF.dynamic.yaml; sed '/^---$/,$d' CONF > CONF.yaml"
        program = Path(sys.executable).with_name("traefik")
        super().__init__(
            escaped(both).replace("PORT", "{port}").replace("FOLDER", "{folder}"),
            ["sh", "-c", f"{split}; exec {program} --configFile=CONF.yaml"],
        )

    def _serves(self) -> bool:
        until = time.monotonic() + DEADLINE
        while super()._serves() and time.monotonic() < until:
            client = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
            with closing(client), suppress(OSError):  # somebody else's port
                client.request("GET", "/-ready")
                if client.getresponse().status == 200:
                    return True
            time.sleep(0.02)
        return False


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Report]]:
    with ExitStack() as stack, ThreadPoolExecutor(len(PROXIES)) as pool:
        server = stack.enter_context(Server(open=1, trusted_proxies=1))
        fronts = {name: stack.enter_context(proxy(name, server.port)) for name in PROXIES}
        asked = {
            name: pool.submit(examine, Target(f"http://127.0.0.1:{front.port}"), begin_at(server.url, ""), 3.0)
            for name, front in fronts.items()
        }
        yield {name: report.result() for name, report in asked.items()}


@pytest.mark.parametrize("name", PROXIES)
def test_the_doctor_has_nothing_to_say(reports: dict[str, Report], name: str) -> None:
    assert reports[name].findings == []
    # Neither of the two has a setting for it.
    assert "keepalive" not in [note.symptom for note in reports[name].notes] or name in ("apache", "traefik")


@pytest.fixture(scope="module")
def fronts() -> Iterator[tuple[Backend, dict[str, Process]]]:
    """The same before a backend that shows what reaches it."""
    with ExitStack() as stack:
        backend = stack.enter_context(Backend())
        yield backend, {name: stack.enter_context(proxy(name, backend.port)) for name in PROXIES}


@pytest.mark.parametrize("name", PROXIES)
def test_what_a_client_claims_does_not_get_through(fronts: tuple[Backend, dict[str, Process]], name: str) -> None:
    backend, ways = fronts
    claims = dict.fromkeys(
        ["Forwarded", *(f"X-Forwarded-{part}" for part in ("For", "Host", "Prefix", "Proto"))], "me"
    )
    with closing(HTTPConnection("127.0.0.1", ways[name].port, timeout=DEADLINE)) as client:
        client.request("GET", "/chat", headers=claims)
        exchange = backend.next()
        exchange.close()
    assert "me" not in exchange.headers.values()
    assert exchange.headers["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("path", ["/metrics", "/doctor", "/doctor/marks"])
def test_what_is_the_operators_is_closed(fronts: tuple[Backend, dict[str, Process]], name: str, path: str) -> None:
    with closing(HTTPConnection("127.0.0.1", fronts[1][name].port, timeout=DEADLINE)) as client:
        client.request("GET", path)
        assert client.getresponse().status == (404 if name == "traefik" else 403)


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_dead_machine_did_not_take_another_one_gets(name: str, method: str) -> None:
    with Backend() as backend, proxy(name, free_port(), backend.port) as front:
        for _ in range(3):  # at least one of them is for the dead machine
            with closing(HTTPConnection("127.0.0.1", front.port, timeout=DEADLINE)) as client:
                client.request(method, "/streams/abc")
                backend.next().sock.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                assert client.getresponse().status == 204


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("question", ["POST /chat", "POST /streams", "GET /chat?prompt=hi"])
def test_a_question_that_was_sent_is_not_sent_again(name: str, question: str) -> None:
    with Backend() as one, Backend() as two, proxy(name, one.port, two.port) as front:
        two._exchanges = one._exchanges
        with closing(HTTPConnection("127.0.0.1", front.port, timeout=DEADLINE)) as client:
            client.request(*question.split(" "))
            one.next().close()
            assert client.getresponse().status == 502
        with closing(HTTPConnection("127.0.0.1", front.port, timeout=DEADLINE)) as client:
            client.request("GET", "/later")
            exchange = one.next()
            assert exchange.line.startswith("GET /later")
            exchange.sock.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            assert client.getresponse().status == 204
