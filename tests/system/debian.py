"""A bare Debian server: this machine's programs, with mounts, processes and a network of their own.

What it writes to /etc, /var, /srv and /root is gone afterwards. pip has the pinned wheels instead of an index. Three
programs are stand-ins. systemctl starts the unit in its sandbox. certbot does the HTTP-01 challenge itself, with a CA
of the test's own. apt knows what is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import psutil

from tests.system.network import Machine
from tests.system.package import ROOT, run
from tests.system.sandbox import as_started

DEADLINE = 300.0  # s
PYTHON = "/usr/bin/python3"
NAMES = ("chat.example.org", "api.openai.com", "api.anthropic.com", "api.deepseek.com")
NOT_OURS = (".git", ".venv", "node_modules", "__pycache__", "instance", ".*_cache", ".hypothesis", ".benchmarks")
# The server before the first step. nginx runs, as Debian's package starts it.
SETUP = """set -e
mkdir -p {room} && mount -t tmpfs tmpfs {room}
for place in etc var; do
    mkdir {room}/$place {room}/$place.work
    mount -t overlay overlay -o lowerdir=/$place,upperdir={room}/$place,workdir={room}/$place.work /$place
done
for place in srv root home; do mount -t tmpfs tmpfs /$place; done
rm -rf /etc/millstream /etc/letsencrypt /etc/ssl/millstream /var/lib/millstream /etc/pip.conf /etc/xdg/pip
printf '127.0.0.1 localhost\\n{address} chat.example.org\\n{ours} {names}\\n' >/etc/hosts
cat {folder}/ca.pem >>/etc/ssl/certs/ca-certificates.crt
cp {folder}/ca.pem /etc/ssl/certs/$(openssl x509 -hash -noout -in {folder}/ca.pem).0
git config --file /etc/gitconfig url.{folder}/origin.insteadOf https://git.example.org/millstream.git
git config --file /etc/gitconfig --add safe.directory '*'
mkdir -p /var/www/html /var/lib/nginx
nginx
echo / >{folder}/cwd
touch {folder}/ready
sleep 1800 & wait  # as init it has to take up what ends
"""
TOOLS = {
    "apt": '[ "$1" = update ] || for name in "${@:2}"; do\n'
    '    [ "$name" = certbot ] || /usr/bin/dpkg-query --show "$name*" >/dev/null || exit 1\n'
    "done",
    "sysctl": '[ "$*" = --system ]; /usr/sbin/sysctl --load=/etc/sysctl.d/60-millstream.conf',
    "systemctl": """case "$*" in
    daemon-reload) systemd-analyze verify /etc/systemd/system/millstream.service ;;
    "enable --now millstream")
        cmp {folder}/origin/deploy/millstream.service /etc/systemd/system/millstream.service
        setsid bash {folder}/unit >{folder}/log 2>&1 </dev/null & echo $! >{folder}/pid
        while kill -0 $!; do curl -s -o {folder}/health localhost:8000/healthz && exit 0; sleep 0.2; done
        cat {folder}/log >&2; exit 1 ;;
    "status millstream") kill -0 "$(cat {folder}/pid)" ;;
    "reload millstream") kill -HUP "$(cat {folder}/pid)" ;;
    "reload nginx") nginx -s reload ;;
    *) echo "unknown: $*" >&2; exit 1 ;;
esac""",
    "certbot": """if [ "$1" = renew ]; then . {folder}/renewal; else
    [ "$1 $2 $3 $5 $7" = "certonly --webroot -w -d --deploy-hook" ]
    root=$4 name=$6 hook=$8
    declare -p root name hook >{folder}/renewal
fi
mkdir -p "$root/.well-known/acme-challenge" "/etc/letsencrypt/live/$name"
echo proof >"$root/.well-known/acme-challenge/proof"
[ "$(curl --fail -sSL "http://$name/.well-known/acme-challenge/proof")" = proof ]
cp {folder}/fullchain.pem {folder}/privkey.pem "/etc/letsencrypt/live/$name/"
eval "$hook\"""",
}


def origin(folder: Path) -> None:
    """A repository with this working tree."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_OURS))
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command in (("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "-m", "All")):
        run("git", *command, cwd=folder)


def wheels(folder: Path, *requirements: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", PYTHON)
    for requirement in requirements:
        run(*pip, "download", "--quiet", "--only-binary=:all:", "--dest", folder, *requirement.split(), cwd=ROOT)


def certificates(folder: Path) -> None:
    """A CA, and a certificate of its own for the names that this network has."""
    names = f"subjectAltName={','.join(f'DNS:{name}' for name in NAMES)}"
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    run(*new, "-subj", "/CN=CA of a test", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    signed = (
        "-CA",
        folder / "ca.pem",
        "-CAkey",
        folder / "ca.key",
        "-addext",
        names,
        "-subj",
        "/CN=chat.example.org",
    )
    run(*new, *signed, "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem")


class Provider(BaseHTTPRequestHandler):
    """OpenAI and whoever has its API, as far as a step of the documents asks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("text/event-stream", (ROOT / "tests/wire/openai/openai.sse").read_bytes())

    def do_GET(self) -> None:
        self._answer("application/json", b'{"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]}')

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200 if "sk-of-a-test" in str(self.headers) else 401)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Debian:
    """`with Debian(folder) as server:` it has `server.address`, and takes this end of its cable, `server.ours`, for
    the providers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._net = Machine()

    def __enter__(self) -> Debian:
        tools = self.folder / "tools"
        tools.mkdir()
        for name, script in TOOLS.items():
            (tools / name).write_text(
                f"#!/bin/bash\nset -e\n{script}\n".replace("{folder}", str(self.folder)), "utf-8"
            )
            (tools / name).chmod(0o755)
        unit = as_started((ROOT / "deploy/millstream.service").read_text("utf-8"))
        (self.folder / "unit").write_text(unit, "utf-8")
        certificates(self.folder)
        self._net.__enter__()
        self.address, self.ours = self._net.address, self._net.ours
        words = {"room": self.folder / "room", "folder": self.folder, "address": self.address, "ours": self.ours}
        words["names"] = " ".join(NAMES[1:])
        own = ("unshare", "--mount", "--propagation=private", "--pid", "--mount-proc", "--fork", "--kill-child")
        self._process = subprocess.Popen([*self._net.within, *own, "bash", "-c", SETUP.format(**words)])
        while not (self.folder / "ready").exists():
            assert self._process.poll() is None
        [self._inside] = psutil.Process(self._process.pid).children()
        self._provider = ThreadingHTTPServer((self.ours, 443), Provider)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "fullchain.pem", self.folder / "privkey.pem")
        self._provider.socket = context.wrap_socket(self._provider.socket, server_side=True)
        self._serving = threading.Thread(target=self._provider.serve_forever)
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()
        self._serving.join()
        self._provider.server_close()
        self._process.kill()
        self._process.wait(DEADLINE)
        self._net.__exit__()

    def types(self, script: str, **environ: str) -> str:
        """Run a script in one shell as root, and return its output."""
        path = f"{self.folder}/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        given = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "PIP_NO_INDEX": "1", **environ}
        given["PIP_FIND_LINKS"] = str(self.folder / "wheels")
        whole = f'cd "$(cat {self.folder}/cwd)"\n{script}\npwd >{self.folder}/cwd\n'
        within = ["nsenter", "--target", str(self._inside.pid), "--mount", "--pid", "--net"]
        done = subprocess.run(
            [*within, "bash", "-euo", "pipefail", "-c", whole],
            env=given,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def trust(self) -> None:
        """Upstreams' certificates are checked with certifi's CAs."""
        bundle = self.types(".venv/bin/python -m certifi").strip()
        self.types(f"cat {self.folder}/ca.pem >>{bundle}")
