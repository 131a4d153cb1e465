"""That gunicorn still hands over the socket that `Client` writes to. Without it all would work, and be slow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
APP = """
from millstream.sockets.client import Client

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield repr(Client(environ, direct=True).chunks).encode()
"""
WAIT = 30  # s


def test_a_piece_may_go_past_gunicorn(tmp_path):
    (tmp_path / "asks.py").write_text(APP, "utf-8")
    command = [sys.executable, "-m", "gunicorn", "-c", os.devnull, "-k", "gevent", "-b", "127.0.0.1:0", "asks:app"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            port = next(
                found[1] for line in server.stderr if (found := re.search(r"Listening at: http://[\d.]+:(\d+)", line))
            )
            connection = HTTPConnection("127.0.0.1", int(port), timeout=WAIT)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"True"
            connection.close()
        finally:
            server.terminate()
