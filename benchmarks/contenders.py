"""The relays that are compared: each started on a free port of 127.0.0.1, bound to one core, with a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RELAY_CORE, OTHER_CORE = "0", "1"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
DEADLINE = 60.0  # s


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(
    core: str, command: list[str], folder: Path, environ: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts it on that core; what it says is in `folder`/log."""
    log = (folder / "log").open("ab")
    return subprocess.Popen(
        ["taskset", "-c", core, *command],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Upstream:
    """Where the relays ask: the emulator, or nginx with TLS in front of it."""

    port: int
    ca_file: str = ""

    @property
    def scheme(self) -> str:
        return "https" if self.ca_file else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/v1"


@dataclass
class Relay:
    """`with Relay(…) as relay:` runs it. `command` gets the port, the upstream and a folder of its own."""

    name: str
    command: Callable[[int, Upstream, Path], tuple[list[str], dict[str, str]]]
    path: str = "/chat"
    accept: str = "text/event-stream"
    pids: list[str] = field(default_factory=list)

    def started(self, upstream: Upstream) -> Relay:
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-benchmark-"))
        self.port = free_port()
        command, environ = self.command(self.port, upstream, self.folder)
        self.process = pinned(RELAY_CORE, command, self.folder, environ)
        until = time.monotonic() + DEADLINE
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(
                    f"{self.name} did not start:\n{(self.folder / 'log').read_text('utf-8', 'replace')[-3000:]}"
                )
            time.sleep(0.05)
        time.sleep(0.5)  # until its workers have settled
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.pids = [str(self.process.pid), *(str(child.pid) for child in children)]
        return self

    def request(self, tokens: int, every: int) -> bytes:
        """One question, as bytes of HTTP. `every` in microseconds."""
        question = {"role": "user", "content": f"tokens={tokens} every={every} "}
        asked = {"model": "m", "messages": [question], **({} if self.path == "/chat" else {"stream": True})}
        body = json.dumps(asked)
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return f"{head}Accept: {self.accept}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def memory(self) -> int:
        """Bytes that are its own (PSS would count shared pages once)."""
        return sum(psutil.Process(int(pid)).memory_full_info().uss for pid in self.pids)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            for pid in self.pids:
                if psutil.pid_exists(int(pid)):
                    psutil.Process(int(pid)).kill()
            self.process.wait(DEADLINE)
        shutil.rmtree(self.folder, ignore_errors=True)


# -- how each is started ----------------------------------------------------------------------------------------


def millstream(store: str = "file:{folder}/streams", **settings: str):
    """Ours, with one worker and its log on."""

    def command(port: int, upstream: Upstream, folder: Path) -> tuple[list[str], dict[str, str]]:
        ca_file = f'ca_file = "{upstream.ca_file}"\n' if upstream.ca_file else ""
        config = folder / "millstream.toml"
        config.write_text(f'[upstreams.m]\nkind = "openai"\nbase_url = "{upstream.url}"\nmodels = ["m"]\n{ca_file}')
        environ = {
            "PORT": str(port),
            "WEB_CONCURRENCY": "1",
            "MILLSTREAM_CONFIG": str(config),
            "MILLSTREAM_STORE": store.format(folder=folder),
            "MILLSTREAM_MAX_STREAMS": "20000",
            **settings,
        }
        return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], environ

    return command


def nginx(port: int, upstream: Upstream, folder: Path, certificate: str = "") -> tuple[list[str], dict[str, str]]:
    words = {
        "FOLDER": str(folder),
        "PORT": str(port),
        "UPSTREAM_PORT": str(upstream.port),
        "SCHEME": upstream.scheme,
        "SSL": "ssl" if certificate else "",
        "CERTIFICATE": certificate,
    }
    text = (HERE / "relays/nginx.conf").read_text("utf-8")
    for word, value in words.items():
        text = text.replace(f"%{word}%", value)
    (folder / "nginx.conf").write_text(text, "utf-8")
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"], {}


def plain_flask(port: int, upstream: Upstream, folder: Path) -> tuple[list[str], dict[str, str]]:
    options = ["-k", "gevent", "-w", "1", "--worker-connections", "10000", "-b", f"127.0.0.1:{port}", "--chdir"]
    command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", *options, str(HERE / "relays"), "plain_flask:app"]
    return command, {"UPSTREAM": upstream.url, "CA_FILE": upstream.ca_file}


def uvicorn(app: str):
    def command(port: int, upstream: Upstream, folder: Path) -> tuple[list[str], dict[str, str]]:
        options = ["--port", str(port), "--log-level", "warning", "--app-dir", str(HERE / "relays")]
        command = [sys.executable, "-m", "uvicorn", f"{app}:app", *options]
        return command, {"UPSTREAM": upstream.url, "CA_FILE": upstream.ca_file}

    return command


def relays() -> dict[str, Relay]:
    """All that can be compared, by short names."""
    v1 = "/v1/chat/completions"
    return {
        "nginx": Relay("nginx, proxy_buffering off", nginx, path=v1),
        "millstream": Relay("Millstream", millstream()),
        "flask": Relay("plain Flask + requests", plain_flask),
        "starlette": Relay("Starlette + httpx, raw bytes", uvicorn("starlette_httpx")),
        "fastapi": Relay("FastAPI + sse-starlette + openai", uvicorn("fastapi_sdk")),
        "text": Relay("Millstream, plain text", millstream(), accept="text/plain"),
        "v1": Relay("Millstream, /v1", millstream(), path=v1),
        "memory": Relay("Millstream, store in memory", millstream("memory:")),
    }
