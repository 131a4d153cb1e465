"""Ways that do something to a stream: nginx, Apache, Caddy and HAProxy set up badly, and small
proxies with one fault each."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.system.nginx import NGINX, free_port
from tests.system.readable import readable

APACHE = shutil.which("apache2") or "/usr/sbin/apache2"
CADDY = shutil.which("caddy") or "/usr/bin/caddy"
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
DEADLINE = 30.0  # s
PATIENCE = 3.0  # s

NGINX_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port}{ssl} so_keepalive={keepalive};
        {certificate}
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            {lines}
        }}
    }}
}}
"""
# What a page on the net shows, and what works: a broken set-up replaces a line of it.
GOOD_NGINX = {
    "buffering": "proxy_buffering off;",
    "cache": "proxy_cache off;",
    "version": "proxy_http_version 1.1;",
    "connection": 'proxy_set_header Connection "";',
    "gzip": "gzip off;",
    "timeout": "proxy_read_timeout 960s;",
}

APACHE_CONF = """
ServerRoot "{folder}"
PidFile "{folder}/pid"
ErrorLog "{folder}/error.log"
DefaultRuntimeDir "{folder}"
Mutex file:{folder}
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule env_module {modules}/mod_env.so
LoadModule filter_module {modules}/mod_filter.so
LoadModule deflate_module {modules}/mod_deflate.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule slotmem_shm_module {modules}/mod_slotmem_shm.so
LoadModule proxy_balancer_module {modules}/mod_proxy_balancer.so
LoadModule lbmethod_byrequests_module {modules}/mod_lbmethod_byrequests.so
SetOutputFilter DEFLATE
ProxyPreserveHost On
{lines}
"""

HAPROXY_CONF = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-no-delay
    {lines}
frontend front
    bind 127.0.0.1:{port}
    http-request set-header X-Forwarded-For %[src]
    default_backend back
backend back
    server one 127.0.0.1:{backend}
"""

CADDY_CONF = """
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    {lines}
    reverse_proxy 127.0.0.1:{backend} {{
        flush_interval -1
    }}
}}
"""


class Process:
    """`with Process(…) as way:` a proxy's program that serves on way.port until the block ends."""

    def __init__(self, conf: str, command: list[str], **words: object) -> None:
        self._conf, self._command, self._words = conf, command, words

    def __enter__(self) -> Process:
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-way-"))
        self.folder.chmod(0o755)
        for _ in range(5):  # somebody else may take the port between the choice and the start
            self.port = free_port()
            text = self._conf.format(folder=self.folder, port=self.port, **self._words)
            (self.folder / "conf").write_text(text, "utf-8")
            command = [word.replace("CONF", str(self.folder / "conf")) for word in self._command]
            with (self.folder / "output").open("wb") as output:
                environ = {"HOME": str(self.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
                self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
            if self._serves():
                return self
            self._end()
        said = (self.folder / "output").read_text("utf-8", "replace")
        self.__exit__()
        raise RuntimeError(f"{self._command[0]} did not start: {said}")

    def __exit__(self, *_: object) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _serves(self) -> bool:
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False


def nginx(backend: int, tls: Path | None = None, keepalive: str = "5s:3s:3", **lines: str) -> Process:
    """The good lines, but for those given here; further ones may be given, too. `tls` is a folder with a certificate:
    then it speaks HTTPS and HTTP/2 alone."""
    text = "\n".join({**GOOD_NGINX, **lines}.values())
    certificate = f"ssl_certificate {tls}/fullchain.pem; ssl_certificate_key {tls}/privkey.pem;" if tls else ""
    words = {"ssl": " ssl http2" if tls else "", "keepalive": keepalive, "certificate": certificate}
    return Process(NGINX_CONF, [NGINX, "-c", "CONF", "-p", "/"], backend=backend, lines=text, **words)


def apache(lines: str) -> Process:
    return Process(
        APACHE_CONF, [APACHE, "-f", "CONF", "-D", "FOREGROUND"], modules="/usr/lib/apache2/modules", lines=lines
    )


def haproxy(backend: int, lines: str = "") -> Process:
    return Process(HAPROXY_CONF, [HAPROXY, "-db", "-f", "CONF"], backend=backend, lines=lines)


def caddy(backend: int, lines: str = "") -> Process:
    command = [CADDY, "run", "--adapter", "caddyfile", "--config", "CONF"]
    return Process(CADDY_CONF, command, backend=backend, lines=lines)


class Faulty:
    """A proxy of one page that relays bytes, with one fault, or none: `withhold` until the end, `strip` headers
    (names in lower case) out of the response, `idle` s after which it cuts, `gather` so many marks in one delivery,
    or what comes before PATIENCE."""

    def __init__(
        self, backend: int, withhold: bool = False, strip: tuple[str, ...] = (), idle: float = 0.0, gather: int = 0
    ) -> None:
        self.backend, self.withhold, self.strip, self.idle, self.gather = backend, withhold, strip, idle, gather

    def __enter__(self) -> Faulty:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join(DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.backend), DEADLINE) as server:
            try:
                server.sendall(client.recv(65536))
                head = b""
                while b"\r\n\r\n" not in head and (data := server.recv(65536)):
                    head += data
                self._pass_on(client, server, self._stripped(head))
            except OSError:
                pass  # one of the two left

    def _stripped(self, answer: bytes) -> bytes:
        head, end, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        kept = [line for line in lines if line.partition(b":")[0].decode().lower() not in self.strip]
        return b"\r\n".join([first, *kept]) + end + body

    def _pass_on(self, client: socket.socket, server: socket.socket, waiting: bytes) -> None:
        while True:
            if waiting and not self.withhold and waiting.count(b"mark ") >= self.gather:
                client.sendall(waiting)
                waiting = b""
            if readable(server, seconds=PATIENCE if self.gather else self.idle or DEADLINE):
                data = server.recv(65536)
                if not data:
                    break
                waiting += data
            elif self.gather:
                client.sendall(waiting)
                waiting = b""
            elif self.idle:
                return
        client.sendall(waiting)
