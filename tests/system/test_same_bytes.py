"""For each format the same bytes, whichever way they go out: HTTP/1.1, HTTP/1.0, TLS in gunicorn, `flask run`."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.system.emulator import Emulator
from tests.system.nginx import free_port
from tests.system.server import DEADLINE, ROOT, Server
from tests.upstreams.fake import PEM

pytestmark = pytest.mark.system

FORMATS = ("sse", "text", "ndjson", "html")
WORDS = [
    "  indented ``",
    "`py\ncode & <code>\n```\n",
    "é ",
    *(f"word{n} 🌊 " for n in range(40)),
    "| a | b |\n",
    "tail",
]
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
    connection.request("POST", f"/chat?format={format}", b'{"prompt":"Hi"}', {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200
    body = b""
    while piece := response.read1(97 if slowly else 65536):
        body += piece
        time.sleep(0.01 if slowly else 0)
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
        yield {
            "HTTP/1.1": plain.connect,
            "HTTP/1.0": lambda: http10(plain.port),
            "TLS": tls.connect,
            "flask run": lambda: http.client.HTTPConnection("127.0.0.1", flask, timeout=DEADLINE),
        }


@pytest.mark.parametrize("format", FORMATS)
def test_each_way_gives_the_same_bytes(ways, format) -> None:
    bodies = {name: VARIES.sub(b"_", ask(connect(), format)) for name, connect in ways.items()}
    bodies["slowly"] = VARIES.sub(b"_", ask(ways["HTTP/1.1"](), format, slowly=True))
    assert b"word39" in bodies["HTTP/1.1"]
    for name, body in bodies.items():
        assert body == bodies["HTTP/1.1"], name
