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
from contextlib import suppress
from pathlib import Path

import psutil

from tests.system.nginx import free_port

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # s


class Server:
    """`with Server(upstreams={…}) as server:` serves on server.port until the block ends.

    `settings` are MILLSTREAM_… variables without the prefix; `upstreams`, `keys` and `presets` are tables of the
    settings file; `root` is the path that it serves under.
    """

    def __init__(
        self,
        upstreams: dict[str, dict[str, object]] | None = None,
        workers: int = 1,
        port: int | None = None,
        keys: dict[str, dict[str, object]] | None = None,
        presets: dict[str, dict[str, object]] | None = None,
        root: str = "",
        **settings: object,
    ) -> None:
        self.host = "127.0.0.1"
        self.within: tuple[str, ...] = ()  # a command that runs the server, in a network of its own perhaps
        self.port = port or free_port()
        self.workers = workers
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-"))
        self.settings = {
            "store": f"file:{self.folder}/streams",
            "limits_store": f"sqlite:{self.folder}/limits.db",
            "session_secret": f"file:{self.folder}/session-secret",
            "database": f"sqlite:///{self.folder}/usage.db",
            **settings,
        }
        self.upstreams = {"demo": {"kind": "demo", "models": ["demo"]}} if upstreams is None else upstreams
        self.tables = {"upstreams": self.upstreams, "keys": keys or {}, "presets": presets or {}}
        self.root = root
        self.config = self.folder / "millstream.toml"
        self.log = self.folder / "log"
        self._said = ""

    def __enter__(self) -> Server:
        self.config.write_text("".join(_toml(kind, self.tables[kind]) for kind in self.tables), "utf-8")
        ours = ("MILLSTREAM_", "OPENAI_", "REDIS_", "DATABASE_URL")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environ |= {
            "HOST": self.host,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": str(self.workers),
            "MILLSTREAM_CONFIG": str(self.config),
            "SCRIPT_NAME": self.root,
            **{f"MILLSTREAM_{name.upper()}": str(value) for name, value in self.settings.items()},
        }
        self.start()
        return self

    def start(self) -> None:
        """Start the server again after it has ended, with the same folder, port and log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready()

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
                if self.get(f"{self.root}/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"the server did not start: {self.text()}")

    def text(self) -> str:
        """Return the server's log so far; the complete log after the block has ended."""
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
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it ends just now, or has
                if "gunicorn" in " ".join(child.cmdline()):
                    found.append(child.pid)
        return found


def _toml(kind: str, tables: dict[str, dict[str, object]]) -> str:
    lines = []
    for name, table in tables.items():
        lines.append(f"[{kind}.{name}]")
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
