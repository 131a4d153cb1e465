"""The server under a path of a host that it shares: by SCRIPT_NAME, and by a proxy's X-Forwarded-Prefix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from millstream.access.keyring import digest
from tests.system.nginx import Nginx
from tests.system.server import Server

pytestmark = pytest.mark.system

KEYS: dict[str, dict[str, object]] = {"anna": {"sha256": digest("ms-anna")}}
BELOW = {
    "location / {": "location /mill/ {",
    "proxy_pass http://millstream;": "proxy_pass http://millstream/;",
    'X-Forwarded-Prefix "";': "X-Forwarded-Prefix /mill;",
}


@pytest.fixture(params=["SCRIPT_NAME", "X-Forwarded-Prefix"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where /mill/ is served."""
    if request.param == "SCRIPT_NAME":
        with Server(keys=KEYS, root="/mill") as server:
            yield server.port
    else:
        with Server(keys=KEYS, trusted_proxies=1) as server, Nginx(server.port, times=BELOW) as nginx:
            yield nginx.port


def test_everything_is_below_the_path(port: int) -> None:
    def ask(method: str, path: str, body: str = "", **headers: str):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, path, body, {**form, **sent})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    response, _ = ask("GET", "/mill/?a=b")
    assert (response.status, response.getheader("Location")) == (303, "/mill/login?next=/?a%3Db")
    _, page = ask("GET", response.getheader("Location"))
    assert 'action="/mill/login"' in page
    assert 'href="/mill/static/page.css"' in page
    response, _ = ask("POST", "/mill/login", "key=ms-anna&next=/?a%3Db")
    assert (response.status, response.getheader("Location")) == (303, "/mill/?a=b")
    cookie, _, options = response.getheader("Set-Cookie").partition(";")
    assert "Path=/;" in options
    own = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}"}
    response, _ = ask("POST", "/mill/chat", "prompt=Hi&model=demo%3Fpace%3D100000", Accept="text/event-stream", **own)
    assert response.status == 200
    address = response.getheader("Content-Location")
    assert address.startswith("/mill/streams/")
    response, page = ask("GET", f"{address}?format=html", **own)
    assert f'action="{address}/stop#latest"' in page
    response, _ = ask("POST", f"{address}/stop", "format=html", **own)
    assert (response.status, response.getheader("Location")) == (303, f"{address}?format=html")
    response, _ = ask("POST", "/mill/logout", **own)
    assert (response.status, response.getheader("Location")) == (303, "/mill/login")
    response, text = ask("GET", "/mill/v1/models", **own)
    assert (response.status, json.loads(text)["error"]["code"]) == (401, "missing_key")
