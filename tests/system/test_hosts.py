"""`millstream.stream()` in other applications, with Flask and msgspec alone, under the servers that people have."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.nginx import free_port
from tests.system.package import DEADLINE, bare_environ, environment, run, wheel

pytestmark = pytest.mark.system

# The generator goes on when the client has what came before: so what arrives in one piece at the end never arrives.
APP = """
import time, pathlib, flask, millstream
app = flask.Flask(__name__)
app.add_url_rule("/millstream.js", view_func=lambda: millstream.client_js())

def words(seen):
    yield "one "
    while not seen.exists():
        time.sleep(0.02)
    yield "two"

@app.get("/")
def index():
    return millstream.stream(words(pathlib.Path("seen")))
"""
# name: (packages, command)
SERVERS = {
    "gunicorn gevent": (("gunicorn[gevent]",), "gunicorn -k gevent -b 127.0.0.1:{port} host:app"),
    "gunicorn threads": (("gunicorn",), "gunicorn -k gthread --threads 4 -b 127.0.0.1:{port} host:app"),
    "gunicorn sync": (("gunicorn",), "gunicorn -k sync -b 127.0.0.1:{port} host:app"),
    "waitress": (("waitress",), "waitress-serve --listen=127.0.0.1:{port} host:app"),
    # --master: without one, a process with threads may hang for ever in its own handler of SIGTERM.
    "uwsgi": (
        ("pyuwsgi",),
        "uwsgi --master --http-socket 127.0.0.1:{port} --threads 2 --die-on-term -w host:app -H {venv}",
    ),
    "flask run": ((), "flask --app host run -p {port}"),
}  # fmt: skip


@pytest.mark.parametrize(("packages", "command"), SERVERS.values(), ids=SERVERS)
def test_pieces_come_as_they_are_made(packages: tuple[str, ...], command: str, tmp_path: Path) -> None:
    bin = environment(tmp_path / "venv", "flask", "msgspec", *packages)
    environment(tmp_path / "venv", str(wheel()), options=("--no-deps",))
    (tmp_path / "host.py").write_text(APP)
    port = free_port()
    words = command.format(port=port, venv=tmp_path / "venv").split()
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [bin / words[0], *words[1:]], cwd=tmp_path, env=bare_environ(), stdout=log, stderr=log
        )
    try:
        client = connect(port, server, tmp_path / "log")
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        while b"one " not in said:
            said += receive(client)
        (tmp_path / "seen").touch()
        while b"two" not in said:
            said += receive(client)
        client.close()
        with connect(port, server, tmp_path / "log") as client:
            client.sendall(b"GET /millstream.js HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert receive(client)
    finally:
        server.terminate()
        server.wait(DEADLINE)
    assert "Traceback" not in (tmp_path / "log").read_text()


def receive(client: socket.socket) -> bytes:
    piece = client.recv(65536)
    assert piece, "the connection was closed"
    return piece


def connect(port: int, server: subprocess.Popen[bytes], log: Path) -> socket.socket:
    limit = time.monotonic() + DEADLINE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            assert server.poll() is None and time.monotonic() < limit, log.read_text()
            time.sleep(0.05)


def test_importing_it_loads_flask_and_msgspec_alone(tmp_path: Path) -> None:
    bin = environment(tmp_path / "venv", "flask", "msgspec")
    environment(tmp_path / "venv", str(wheel()), options=("--no-deps",))
    allowed = {
        "flask",
        "werkzeug",
        "jinja2",
        "markupsafe",
        "click",
        "itsdangerous",
        "blinker",
        "msgspec",
        "millstream",
    }
    script = (
        "import sys; before = set(sys.modules); import millstream; millstream.stream; millstream.client_js\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    loaded = run(bin / "python", "-c", script, env=bare_environ()).split()
    assert {name for name in loaded if not name.startswith("_")} <= allowed
