"""The very nginx.conf of this project, running with ports, paths and the account replaced."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
DEADLINE = 30.0  # s


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> None:
    """A self-signed certificate for localhost, under the names that nginx.conf uses."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    outputs = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run([*command.split(), *outputs], check=True, capture_output=True)


class Nginx:
    """`with Nginx(backend_port) as nginx:` serves on nginx.port, with tls=True also on nginx.tls_port.

    `times` replaces further words of the file: a time-out that a test can't wait for.
    """

    def __init__(self, backend: int, tls: bool = False, times: dict[str, str] | None = None) -> None:
        self.backend = backend
        self.tls = tls
        self.times = times or {}
        self.host = "127.0.0.1"

    def __enter__(self) -> Nginx:
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-nginx-"))
        if self.tls:
            certificate(self.folder)
        for _ in range(5):  # somebody else may take a port between the choice and the start
            self.port, self.tls_port = free_port(), free_port()
            self.conf = self.folder / "nginx.conf"
            self.conf.write_text(self.text(), "utf-8")
            if self._start():
                return self
        raise RuntimeError(f"nginx did not start: {self.error_log()}")

    def text(self) -> str:
        text = (ROOT / "nginx.conf").read_text("utf-8")
        if self.tls:
            text = text.replace("#tls ", "")
        words = {
            "user www-data;": f"user {getpass.getuser()};",
            "127.0.0.1:8000": f"127.0.0.1:{self.backend}",
            "listen 80 ": f"listen 127.0.0.1:{self.port} ",
            "listen 443 ": f"listen 127.0.0.1:{self.tls_port} ",
            "/srv/millstream/static/": f"{ROOT}/static/",
            "/etc/ssl/millstream/": f"{self.folder}/",
            "/var/log/nginx/": f"{self.folder}/",
            "/var/lib/nginx/": f"{self.folder}/",
            "/run/nginx.pid": f"{self.folder}/nginx.pid",
            **self.times,
        }
        for old, new in words.items():
            assert old in text, f"nginx.conf has no {old!r} any more"
            text = text.replace(old, new)
        return text

    def _start(self) -> bool:
        command = [NGINX, "-p", str(self.folder), "-c", str(self.conf), "-g", "daemon off;"]
        with (self.folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(command, stdout=stderr, stderr=stderr)
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection((self.host, self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return True
        self._stop()
        return False

    def _stop(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE)

    def __exit__(self, *_: object) -> None:
        self._stop()
        shutil.rmtree(self.folder)

    def access_log(self) -> str:
        return (self.folder / "millstream-access.log").read_text("utf-8")

    def error_log(self) -> str:
        logs = [self.folder / "stderr", self.folder / "millstream-error.log"]
        return "".join(log.read_text("utf-8") for log in logs if log.exists())
