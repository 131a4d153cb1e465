"""The local model's download, from a server that stops half-way until somebody has seen how far it is."""

from __future__ import annotations

import hashlib
import io
import secrets
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.system.package import UV
from tests.system.screen import DEADLINE, Screen

pytestmark = pytest.mark.system

SIZE = 3 << 20  # bytes
NAME = "slow_model-1.0-py3-none-any.whl"
SCRIPT = """
import pathlib, sys
from millstream.commands import local_model
from millstream.settings import load
local_model.PINS = pathlib.Path(sys.argv[1])
local_model.local.available = lambda settings: False
local_model.local.folder = lambda settings: pathlib.Path(settings.state, "model")
if sys.argv[2:]:
    local_model._installer = lambda: [*sys.argv[2:], "--python", sys.executable]
local_model.install(load())
"""


def built() -> bytes:
    data = io.BytesIO()
    info = "slow_model-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as archive:  # not compressed
        archive.writestr("slow_model.bin", secrets.token_bytes(SIZE))
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: slow-model\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"slow_model.bin,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return data.getvalue()


class Slow(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Files)
        self.wheel, self.seen = built(), threading.Event()


class Files(BaseHTTPRequestHandler):
    server: Slow

    def do_GET(self) -> None:
        page = f'<a href="/{NAME}">{NAME}</a>'.encode() if "simple" in self.path else b""
        body = page or self.server.wheel
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if page else "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        for piece in (body[: half - 200_000], body[half - 200_000 : half]):  # a bar is drawn when something comes
            self.wfile.write(piece)
        if not page:
            self.server.seen.wait(DEADLINE)
        self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Slow]:
    with Slow() as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/simple"
        given = {"PIP_INDEX_URL": address, "UV_DEFAULT_INDEX": address, "UV_INDEX": "", "PIP_EXTRA_INDEX_URL": ""}
        own = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1", "UV_NO_CONFIG": "1"}
        for name, value in {**given, **own, "MILLSTREAM_STATE": str(tmp_path / "state")}.items():
            monkeypatch.setenv(name, value)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("installer", [(), (UV, "pip", "install")], ids=["pip", "uv"])
def test_it_shows_how_far_it_is(installer: tuple[str, ...], index: Slow, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text(f"slow-model==1.0 --hash=sha256:{hashlib.sha256(index.wheel).hexdigest()}\n")
    with Screen([sys.executable, "-c", SCRIPT, str(pins), *installer], tmp_path) as screen:
        assert "Installing the local model" in screen.wait_for_lines("/3.")  # 1.5/3.1 MB
        index.seen.set()
        screen.wait_for_lines("Installed" if installer else "Successfully installed")
