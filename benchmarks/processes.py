"""Processes that are bound to a core, and the folders they work in."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from installing import VENV

ROOT = VENV.parent.parent
RELAY_CORE, TWO_CORES, OTHER_CORE = "0", "0,1", str((os.cpu_count() or 2) - 1)
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
DEADLINE = 60.0  # s
_RUN = tempfile.TemporaryDirectory(prefix="millstream-benchmark-", ignore_cleanup_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A command on some cores, with all that it starts. What it says is in `folder`/log."""

    def __init__(self, cores: str, command: list[str], folder: Path, environ: dict[str, str] | None = None) -> None:
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", cores, *command],
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, port: int) -> None:
        """Until something answers there. Raises RuntimeError with the end of its log."""
        until = time.monotonic() + DEADLINE
        while not _answers(port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"did not start:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.02)

    @property
    def pids(self) -> list[int]:
        return [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]

    def stop(self) -> None:
        """Its own way, which leaves nothing behind; after some seconds, all of its session."""
        self.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(3)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def folder(name: str) -> Path:
    """A new folder, erased when the run has ended. Not earlier: ext4 looks past each inode that was freed in the last
    minutes, so thousands of logs erased after one round would make the new files of the next one dear."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_RUN.name))
