"""The relays that are compared, by short names, and how each is started."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from emulation import Upstream
from installing import HERE, LITELLM
from processes import NGINX, free_port
from relay import Cost, Parts, Relay, Server

V1 = "/v1/chat/completions"


def millstream(store: str = "file:{folder}/streams", workers: int = 1) -> Server:
    """Ours as it is delivered, but that an answer ends at once when its client has gone: cases follow each other."""

    def parts(port: int, upstream: Upstream, folder: Path) -> Parts:
        ca_file = f'ca_file = "{upstream.ca_file}"\n' if upstream.ca_file else ""
        config = folder / "millstream.toml"
        config.write_text(f'[upstreams.m]\nkind = "openai"\nbase_url = "{upstream.url}"\nmodels = ["m"]\n{ca_file}')
        environ = {
            "PORT": str(port),
            "WEB_CONCURRENCY": str(workers),
            "MILLSTREAM_CONFIG": str(config),
            "MILLSTREAM_STORE": store.format(folder=folder),
            "MILLSTREAM_LIMITS_STORE": f"sqlite:{folder}/limits.db",
            "MILLSTREAM_DATABASE": f"sqlite:///{folder}/usage.db",
            "MILLSTREAM_GRACE": "0",
        }
        return Parts([sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], environ)

    return parts


def with_redis(port: int, upstream: Upstream, folder: Path) -> Parts:
    """Millstream with its store in a Redis that keeps nothing on disk, on the other core."""
    program = shutil.which("redis-server")
    if not program:
        raise FileNotFoundError("redis-server is not installed")
    database = free_port()
    options = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(database),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    parts = millstream(f"redis://127.0.0.1:{database}/0")(port, upstream, folder)
    parts.store, parts.store_port = [program, *options], database
    return parts


def nginx(port: int, upstream: Upstream, folder: Path, certificate: str = "") -> Parts:
    """With `certificate`, it is what makes the emulated upstream one with TLS."""
    words = {
        "FOLDER": str(folder),
        "PORT": str(port),
        "UPSTREAM_PORT": str(upstream.port),
        "SCHEME": upstream.scheme,
        "SSL": "ssl" if certificate else "",
        "CERTIFICATE": certificate,
        "REQUESTS": "20" if certificate else "1000000",  # as the emulator itself does
    }
    file = _filled(HERE / "relays/nginx.conf", folder, words)
    return Parts([NGINX, "-p", str(folder), "-c", str(file), "-g", "daemon off;"], {})


def through_nginx(behind: Server) -> Server:
    """nginx in front of a relay, on the same core; both count."""

    def parts(port: int, upstream: Upstream, folder: Path) -> Parts:
        inner = free_port()
        found = behind(inner, upstream, folder)
        found.front, found.inner_port = nginx(port, Upstream(inner), folder).command, inner
        return found

    return parts


def plain_flask(port: int, upstream: Upstream, folder: Path) -> Parts:
    options = ["-k", "gevent", "-w", "1", "--worker-connections", "10000", "-b", f"127.0.0.1:{port}", "--chdir"]
    command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", *options, str(HERE / "relays"), "plain_flask:app"]
    return Parts(command, {"UPSTREAM": upstream.url, "CA_FILE": upstream.ca_file})


def uvicorn(app: str) -> Server:
    def parts(port: int, upstream: Upstream, folder: Path) -> Parts:
        options = ["--port", str(port), "--log-level", "warning", "--app-dir", str(HERE / "relays")]
        command = [sys.executable, "-m", "uvicorn", f"{app}:app", *options]
        return Parts(command, {"UPSTREAM": upstream.url, "CA_FILE": upstream.ca_file})

    return parts


def litellm(port: int, upstream: Upstream, folder: Path) -> Parts:
    config = _filled(HERE / "relays/litellm.yaml", folder, {"UPSTREAM": upstream.url})
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}  # else it fetches a list of prices
    return Parts([str(LITELLM / "bin/litellm"), *options], environ)


def _filled(template: Path, folder: Path, words: dict[str, str]) -> Path:
    text = template.read_text("utf-8")
    for word, value in words.items():
        text = text.replace(f"%{word}%", value)
    file = folder / template.name
    file.write_text(text, "utf-8")
    return file


_OURS = Cost(boot=2.5, start_ms=2.5)
_FLASK = Cost(boot=1.5, start_ms=1.5)
RELAYS = {
    relay.key: relay
    for relay in [
        Relay("nginx", "nginx, proxy_buffering off", nginx, path=V1),
        Relay("millstream", "Millstream", millstream(), cost=_OURS),
        Relay("text", "Millstream, plain text", millstream(), accept="text/plain", server="millstream", cost=_OURS),
        Relay("v1", "Millstream, /v1", millstream(), path=V1, server="millstream", cost=_OURS),
        Relay("flask", "plain Flask + requests", plain_flask, cost=_FLASK),
        Relay("starlette", "Starlette + httpx, raw bytes", uvicorn("starlette_httpx"), cost=_FLASK),
        Relay("fastapi", "FastAPI + sse-starlette + openai", uvicorn("fastapi_sdk"), cost=Cost(3.0, 4.0)),
        Relay("litellm", "LiteLLM", litellm, path=V1, cost=Cost(15.0, 25.0)),
        Relay("memory-store", "Millstream, store in memory", millstream("memory:"), cost=_OURS),
        Relay("redis-store", "Millstream, store in Redis", with_redis, cost=_OURS),
        Relay("nginx-tls", "nginx", nginx, path=V1, tls=True, cost=Cost(0.5, 1.0)),
        Relay("millstream-tls", "Millstream", millstream(), tls=True, cost=Cost(2.5, 4.0)),
        Relay("flask-tls", "plain Flask + requests", plain_flask, tls=True, cost=Cost(1.5, 3.0)),
        Relay("millstream-nginx", "nginx → Millstream", through_nginx(millstream()), cost=_OURS),
        Relay("flask-nginx", "nginx → plain Flask", through_nginx(plain_flask), cost=_FLASK),
        Relay("workers-1", "Millstream, 1 worker", millstream(), two_cores=True, cost=_OURS),
        Relay("workers-2", "Millstream, 2 workers", millstream(workers=2), two_cores=True, cost=_OURS),
    ]
}
