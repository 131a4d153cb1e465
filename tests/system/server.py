"""Millstream as a user runs it: gunicorn, its own configuration, a settings file, a free port."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.system.nginx import free_port

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # s


class Server:
    """`with Server(upstreams={…}) as server:` serves on server.port until the block ends.

    `settings` are MILLSTREAM_… variables without the prefix; `upstreams` are tables of the settings file.
    """

    def __init__(
        self,
        upstreams: dict[str, dict[str, object]] | None = None,
        workers: int = 1,
        port: int | None = None,
        **settings: object,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.workers = workers
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-"))
        self.settings = {
            "store": f"file:{self.folder}/streams",
            "limits_store": f"sqlite:{self.folder}/limits.db",
            **settings,
        }
        self.upstreams = {"demo": {"kind": "demo", "models": ["demo"]}} if upstreams is None else upstreams
        self.log = self.folder / "log"
        self._said = ""

    def __enter__(self) -> Server:
        config = self.folder / "millstream.toml"
        config.write_text(_toml(self.upstreams), "utf-8")
        ours = ("MILLSTREAM_", "OPENAI_", "REDIS_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environ |= {
            "HOST": self.host,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(self.workers),
            "MILLSTREAM_CONFIG": str(config),
            **{f"MILLSTREAM_{name.upper()}": str(value) for name, value in self.settings.items()},
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # quick: what still runs is cut
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._said = self.text()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.text()}")
            try:
                if self.get("/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"the server did not start: {self.text()}")

    def text(self) -> str:
        """What it has written to its log; all of it once the block has ended."""
        return self._said or self.log.read_text("utf-8", "replace")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self, timeout: float = DEADLINE) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """A whole response. Header names are written with underscores."""
        connection = self.connect()
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def worker_pids(self) -> list[int]:
        """The workers' process ids: the children of gunicorn's master that are no model supervisor."""
        return [
            child.pid
            for child in psutil.Process(self.process.pid).children()
            if child.status() != psutil.STATUS_ZOMBIE and "gunicorn" in " ".join(child.cmdline())
        ]


def _toml(upstreams: dict[str, dict[str, object]]) -> str:
    lines = []
    for name, table in upstreams.items():
        lines.append(f"[upstreams.{name}]")
        for key, value in table.items():
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
