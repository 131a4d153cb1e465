"""For each format the same bytes, whichever way they go out: HTTP/1.1, HTTP/1.0, TLS, `flask run`, through nginx."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.system.emulator import Emulator
from tests.system.nginx import Nginx, free_port
from tests.system.server import DEADLINE, ROOT, Server
from tests.upstreams.fake import PEM

pytestmark = pytest.mark.system

FORMATS = ("sse", "text", "ndjson", "html")
WORDS = [
    "  indented ``",
    "`py\ncode & <code>\n```\n",
    "é ",
    *(f"word{n} 🌊 " for n in range(40)),
    "more than a socket takes at once\n" * 1500,
    "| a | b |\n",
    "tail",
]
NO_VERSION = {"proxy_http_version 1.1;": "", "proxy_set_header Connection close;": ""}  # nginx asks in HTTP/1.0 then
VARIES = re.compile(
    rb'[\w-]{22}(?=[."?&/\']|$)|retry: ?\d+|"(created|duration|first_token)": ?[\d.]+|value="[^"]{20,}"'
)


class Tls(Server):
    """gunicorn speaks TLS itself."""

    def connect(self, timeout: float = DEADLINE) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=_trusting())


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def flask_run(server: Server) -> Iterator[int]:
    """With the same settings, by Flask's own server."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "wsgi:app", "run", "--port", str(port)]
    environ = {**server.environ, "WEB_CONCURRENCY": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environ, **quiet) as process:
        try:
            until = time.monotonic() + DEADLINE
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def ask(connection: http.client.HTTPConnection, format: str, *, slowly: bool = False) -> bytes:
    connection.connect()
    if slowly:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.request("POST", f"/chat?format={format}", b'{"prompt":"Hi"}', {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200
    body = b""
    time.sleep(0.3 if slowly else 0)  # for what the server can't send any more
    while piece := response.read1(997 if slowly else 65536):
        body += piece
        time.sleep(0.001 if slowly else 0)
    connection.close()
    return body


def http10(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    return connection


@pytest.fixture(scope="module")
def ways() -> Iterator[dict[str, object]]:
    """Names of ways, and what connects there."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Emulator(WORDS, pace=0.005))
        plain = stack.enter_context(Server({"up": upstream.table}, open=1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GUNICORN_CMD_ARGS", f"--certfile {PEM} --keyfile {PEM}")
            tls = stack.enter_context(Tls({"up": upstream.table}, open=1))
        flask = stack.enter_context(flask_run(plain))
        nginx = [stack.enter_context(Nginx(plain.port, times=times)) for times in ({}, NO_VERSION)]
        yield {
            "HTTP/1.1": plain.connect,
            "HTTP/1.0": lambda: http10(plain.port),
            "TLS": tls.connect,
            "flask run": lambda: http.client.HTTPConnection("127.0.0.1", flask, timeout=DEADLINE),
            "nginx": lambda: http.client.HTTPConnection("127.0.0.1", nginx[0].port, timeout=DEADLINE),
            "nginx without proxy_http_version": lambda: http.client.HTTPConnection(
                "127.0.0.1", nginx[1].port, timeout=DEADLINE
            ),
        }


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "slowly"])
@pytest.mark.parametrize("format", FORMATS)
def test_each_way_gives_the_same_bytes(ways, format, slowly) -> None:
    with ThreadPoolExecutor(len(ways)) as pool:
        asked = {name: pool.submit(ask, connect(), format, slowly=slowly) for name, connect in ways.items()}
    bodies = {name: VARIES.sub(b"_", body.result()) for name, body in asked.items()}
    whole = VARIES.sub(b"_", ask(ways["HTTP/1.1"](), format))
    assert whole.count(b"more than") == 1500
    assert b"tail" in whole
    for name, body in bodies.items():
        assert body == whole, name
