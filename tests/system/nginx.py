"""The very nginx.conf of this project, running with ports, paths and the account replaced."""

from __future__ import annotations

import getpass
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
DEADLINE = 30.0  # s


SITE = """\
# Millstream as one of several sites. Copy it to /etc/nginx/conf.d/millstream.conf, and change server_name and the
# paths under /srv/millstream. HTTPS: put the certificate in place, then sed -i 's/#tls //'. An open stream takes two
# of worker_connections, which stands in nginx.conf itself.
# Made from this project's nginx.conf by: python -m tests.system.nginx > deploy/nginx-site.conf

"""
OTHERS = (  # what belongs to the whole server
    r"types \{.*?\n    \}\n",
    r"(default_type|server_tokens|gzip|access_log|limit_\w+_status|\w+_temp_path) [^\n]*\n",
)


def site(text: str) -> str:
    """Return the part of nginx.conf for this site alone, to include in the http block of a file with other sites."""
    inner = text[text.index("http {\n") + len("http {\n") : text.rindex("}")]
    for other in OTHERS:
        inner = re.sub(rf"^    {other}", "", inner, flags=re.M | re.S if "types" in other else re.M)
    inner = re.sub(r"^    ", "", inner.replace(" default_server", ""), flags=re.M)
    own = (
        "    server_name chat.example.org;\n"
        "    gzip off;  # a compressor holds tokens back until it has enough of them\n"
        "    server_tokens off;\n"
        "    limit_conn_status 429;\n"
        "    limit_req_status 429;\n"
        "    access_log /var/log/nginx/millstream-access.log millstream;\n"
        "    # Lines below crit quote the whole request line, which contains the prompt of a GET.\n"
        "    error_log /var/log/nginx/millstream-error.log crit;\n"
    )
    assert inner.count("    server_name _;\n") == 1
    return SITE + re.sub(r"\n{3,}", "\n\n", inner.replace("    server_name _;\n", own)).lstrip("\n")


def free_port() -> int:
    """A port below those that the kernel gives to connections: one of them would take it before its server does."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


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

    file = "nginx.conf"

    def text(self) -> str:
        text = (ROOT / self.file).read_text("utf-8")
        if self.tls:
            text = text.replace("#tls ", "")
        words = {
            "127.0.0.1:8000": f"127.0.0.1:{self.backend}",
            "listen 80 ": f"listen 127.0.0.1:{self.port} ",
            "listen 443 ": f"listen 127.0.0.1:{self.tls_port} ",
            "/srv/millstream/static/": f"{ROOT}/static/",
            "/etc/ssl/millstream/": f"{self.folder}/",
            "/var/log/nginx/": f"{self.folder}/",
            **self.times,
        }
        if self.file == "nginx.conf":
            words |= {
                "user www-data;": f"user {getpass.getuser()};",
                "/var/lib/nginx/": f"{self.folder}/",
                "/run/nginx.pid": f"{self.folder}/nginx.pid",
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


class Sites(Nginx):
    """deploy/nginx-site.conf beside another site, in a file as a distribution has it."""

    file = "deploy/nginx-site.conf"

    def text(self) -> str:
        (self.folder / "millstream.conf").write_text(super().text(), "utf-8")
        return (
            f"user {getpass.getuser()};\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/error.log;\n"
            f"events {{ worker_connections 1024; }}\nhttp {{\n  access_log off;\n  gzip on;\n"
            f"  server {{ listen 127.0.0.1:{self.port} default_server; return 200 'another site'; }}\n"
            f"  include {self.folder}/millstream.conf;\n}}\n"
        )


if __name__ == "__main__":
    print(site((ROOT / "nginx.conf").read_text("utf-8")), end="")
