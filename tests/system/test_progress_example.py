"""examples/progress.py, started as examples/README.md says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.system.nginx import free_port

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # s

# The example with a job that takes very long, and that leaves a word when it is closed.
ENDLESS = """
from pathlib import Path

import progress

job = progress.job


def endless(steps, pause):
    try:
        yield from job(1_000_000, pause)
    except GeneratorExit:
        Path("closed").touch()
        raise


progress.job = endless
app = progress.app
"""


@contextmanager
def running(folder: Path, app: str, **environ: str) -> Iterator[str]:
    """The address of an application that gunicorn serves from a folder."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", app]
    path = os.pathsep.join([str(ROOT), str(ROOT / "examples")])
    environ = {**os.environ, "PYTHONPATH": path, **environ}
    server = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/progress"
    try:
        until(lambda: listens(port))
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # quick: an endless job is not waited for
        server.wait(DEADLINE)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE).close()
    except ConnectionRefusedError:
        return False
    return True


def until(met: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.02)


def curl(url: str, *arguments: str) -> str:
    command = ["curl", "--silent", "--no-buffer", "--max-time", str(DEADLINE), *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_example_streams_text_and_events() -> None:
    with running(ROOT / "examples", "progress:app", PAUSE="0.01") as url:
        assert curl(url) == "".join(f"step {n} of 10 done\n" for n in range(1, 11))
        events = curl(url, "-H", "Accept: text/event-stream")
    assert events.count('data: {"text":"step ') == 10
    assert "event: done" in events


def test_each_step_is_read_before_the_job_has_ended(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    with running(tmp_path, "endless:app", PAUSE="0.02") as url, urlopen(url, timeout=DEADLINE) as response:
        for n in range(1, 31):
            assert response.readline() == f"step {n} of 1000000 done\n".encode()


def test_a_client_that_leaves_closes_the_generator(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    with running(tmp_path, "endless:app", PAUSE="0.02") as url:
        with urlopen(url, timeout=DEADLINE) as response:
            response.readline()
            assert not (tmp_path / "closed").exists()
        until((tmp_path / "closed").exists)
