"""nginx.conf as it is, in a real nginx, in front of a backend that does what each test says."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse

import pytest

from millstream.errors import CODES
from millstream.settings import Settings
from tests.system.backend import DEADLINE, Backend
from tests.system.clients import until
from tests.system.nginx import NGINX, ROOT, Nginx, Sites, free_port, site

pytestmark = pytest.mark.system


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def nginx(backend: Backend) -> Iterator[Nginx]:
    with Nginx(backend.port) as nginx:
        yield nginx


@pytest.fixture
def tls(backend: Backend) -> Iterator[Nginx]:
    with Nginx(backend.port, tls=True) as nginx:
        yield nginx


def ask(nginx: Nginx, path: str = "/chat", source: str = "", **headers: str) -> closing[HTTPConnection]:
    connection = HTTPConnection(nginx.host, nginx.port, DEADLINE, (source, 0) if source else None)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return closing(connection)


def send(nginx: Nginx, request: bytes) -> closing[socket.socket]:
    sock = socket.create_connection((nginx.host, nginx.port), DEADLINE)
    sock.sendall(request)
    return closing(sock)


def error_of(response: HTTPResponse) -> tuple[int, str, str]:
    """Status, type and code of an answer in the one error shape."""
    assert response.getheader("Content-Type") == "application/json"
    error = json.loads(response.read())["error"]
    assert set(error) == {"message", "type", "code", "param"}
    return response.status, error["type"], error["code"]


def error_on(sock: socket.socket) -> tuple[int, str, str]:
    response = HTTPResponse(sock)
    response.begin()
    return error_of(response)


def curl(*arguments: str) -> subprocess.Popen[bytes]:
    command = ["curl", "--silent", "--no-buffer", "--insecure", "--max-time", str(DEADLINE), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.parametrize("switched_on", [False, True])
def test_the_file_is_valid_with_and_without_https(switched_on: bool) -> None:
    with Nginx(free_port(), tls=switched_on) as nginx:
        command = [NGINX, "-t", "-p", str(nginx.folder), "-c", str(nginx.conf)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "test is successful" in said


def test_the_site_is_made_of_the_whole_file() -> None:
    made = site((ROOT / "nginx.conf").read_text("utf-8"))
    told = "python -m tests.system.nginx > deploy/nginx-site.conf"
    assert (ROOT / "deploy/nginx-site.conf").read_text("utf-8") == made, told


@pytest.mark.parametrize("switched_on", [False, True])
def test_the_site_streams_beside_another_one(backend: Backend, switched_on: bool) -> None:
    with Sites(backend.port, tls=switched_on) as nginx:
        with ask(nginx, "/", Host="localhost") as other:
            assert other.getresponse().read() == b"another site"
        where = f"https://localhost:{nginx.tls_port}/" if switched_on else f"http://localhost:{nginx.port}/"
        with curl("-H", "Host: chat.example.org", where) as client:
            exchange = backend.next()
            exchange.begin()
            for n in range(5):
                exchange.send(b"<%02d>" % n)
                assert client.stdout is not None
                assert client.stdout.read(4) == b"<%02d>" % n
            exchange.finish()
        assert client.returncode == 0


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_each_chunk_is_read_before_the_next_is_sent(tls: Nginx, backend: Backend, version: str) -> None:
    with curl(version, f"https://localhost:{tls.tls_port}/") as client:
        exchange = backend.next()
        exchange.begin()
        for n in range(20):
            exchange.send(b"<%02d>" % n)
            assert client.stdout is not None
            assert client.stdout.read(4) == b"<%02d>" % n
        exchange.finish()
    assert client.returncode == 0


def test_an_http_1_0_client_without_host_reads_up_to_the_close(nginx: Nginx, backend: Backend) -> None:
    with send(nginx, b"GET / HTTP/1.0\r\n\r\n") as sock:
        exchange = backend.next()
        exchange.begin()
        exchange.send(b"whole")
        exchange.finish()
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    assert answer.endswith(b"\r\n\r\nwhole")
    assert exchange.headers["host"] == "_"


def test_what_a_client_claims_about_itself_does_not_get_through(nginx: Nginx, backend: Backend) -> None:
    names = [
        "Forwarded",
        "X-Real-IP",
        *(f"X-Forwarded-{part}" for part in ("For", "Host", "Prefix", "Port", "Proto")),
    ]
    with ask(nginx, **dict.fromkeys(names, "forged")):
        exchange = backend.next()
    assert b"forged" not in exchange.request
    assert exchange.headers["x-forwarded-for"] == "127.0.0.1"
    assert exchange.headers["x-forwarded-proto"] == "http"
    assert exchange.headers["x-forwarded-host"] == exchange.headers["host"] == f"127.0.0.1:{nginx.port}"


def test_headers_with_underscores_are_dropped(nginx: Nginx, backend: Backend) -> None:
    with send(nginx, b"GET / HTTP/1.1\r\nHost: a\r\nPATH_INFO: /metrics\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n"):
        assert not {"path_info", "x_forwarded_for"} & set(backend.next().headers)


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/%6detrics", "/x/../doctor", "/doctor?a=b"])
def test_the_operators_addresses_are_closed(nginx: Nginx, path: str) -> None:
    with ask(nginx, path) as client:
        assert error_of(client.getresponse()) == (403, "permission_error", "operator_only")


def test_a_second_proxy_is_told_not_to_buffer_either(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx) as client:
        backend.next().begin(b"X-Accel-Buffering: no\r\nCache-Control: no-store, no-transform\r\n")
        response = client.getresponse()
        assert response.getheader("X-Accel-Buffering") == "no"
        assert response.getheader("Cache-Control") == "no-store, no-transform"


def test_the_applications_errors_pass_through(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx) as client:
        exchange = backend.next()
        exchange.sock.sendall(b"HTTP/1.1 503 Full\r\nContent-Length: 4\r\nRetry-After: 9\r\n\r\nours")
        response = client.getresponse()
        assert (response.status, response.getheader("Retry-After"), response.read()) == (503, "9", b"ours")


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 21000000\r\n\r\n", (413, "body_too_large")),
        (b"GET /chat?prompt=" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, "url_too_long")),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 17_000 + b"\r\n\r\n", (431, "headers_too_large")),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400, "bad_request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "bad_request")),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            (400, "bad_request"),
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", (400, "bad_request")),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", (400, "bad_request")),
        (b"GET /static/absent.js HTTP/1.1\r\nHost: a\r\n\r\n", (404, "not_found")),
        (b"GET /static/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"POST /static/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", (403, "operator_only")),
    ],
)
def test_what_nginx_refuses_has_the_one_error_shape(nginx: Nginx, request_: bytes, error: tuple[int, str]) -> None:
    with send(nginx, request_) as sock:
        status, _, code = error_on(sock)
        assert (status, code) == error


def test_an_absent_server_is_a_502() -> None:
    with Nginx(free_port()) as nginx, ask(nginx) as client:
        response = client.getresponse()
        assert response.getheader("Retry-After") == "5"
        assert error_of(response) == (502, "server_error", "bad_gateway")


def test_a_server_that_says_nothing_is_a_504(backend: Backend) -> None:
    with Nginx(backend.port, times={"960s": "1s"}) as nginx, ask(nginx) as client:
        assert error_of(client.getresponse()) == (504, "server_error", "gateway_timeout")


def test_nginx_waits_longer_than_the_longest_answer() -> None:
    (limit,) = re.findall(r"proxy_read_timeout (\d+)s;", (ROOT / "nginx.conf").read_text("utf-8"))
    assert int(limit) >= Settings().total + 60


def test_codes_are_the_applications_own() -> None:
    text = (ROOT / "nginx.conf").read_text("utf-8")
    block = re.search(r"map \$status \$error_code \{(.*?)\}", text, re.S)
    assert block is not None
    found = {code: int(status) for status, code in re.findall(r"(\d{3}) (\w+);", block[1])}
    assert len(found) == 12
    assert found == {code: status for code, (status, _) in CODES.items() if code in found}


def test_a_client_that_leaves_ends_the_request_behind(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx):
        exchange = backend.next()
        exchange.begin()
    assert exchange.wait_for_leave()


def test_a_client_that_leaves_before_the_headers_ends_the_request_behind(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx):
        exchange = backend.next()
    assert exchange.wait_for_leave()


@pytest.mark.parametrize(("version", "code"), [("--http1.1", 18), ("--http2", 92)])
def test_an_answer_that_breaks_off_is_an_error_to_curl(tls: Nginx, backend: Backend, version: str, code: int) -> None:
    with curl(version, f"https://localhost:{tls.tls_port}/") as client:
        exchange = backend.next()
        exchange.begin()
        exchange.send(b"half")
        assert client.stdout is not None
        assert client.stdout.read(4) == b"half"
        exchange.close()
    assert client.returncode == code


def test_each_request_has_a_connection_of_its_own(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx) as client:
        exchange = backend.next()
        exchange.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        client.getresponse().read()
        assert exchange.sock.recv(65536) == b""  # what is kept would lead to a worker that may be about to leave


# -- several machines -------------------------------------------------------------------------------------------


@pytest.fixture
def machines(backend: Backend) -> Iterator[tuple[Backend, Nginx]]:
    """Two machines; `next` gives what comes to either."""
    with Backend() as other:
        other._exchanges = backend._exchanges
        line = f"server 127.0.0.1:{backend.port};"
        with Nginx(backend.port, times={line: f"{line} server 127.0.0.1:{other.port};"}) as nginx:
            yield backend, nginx


def bare(path: str, method: bytes = b"GET", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (method, path.encode(), lines.encode())


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (bare("/streams/abc?format=sse&after=7"), "nginx's own"),
        (bare("/chat?prompt=hi"), "nginx's own"),
        (bare("/chat?prompt=hi", Idempotency_Key="mine"), "mine"),
        (bare("/chat?prompt=hi&idempotency_key=mine"), ""),
        (bare("/streams/abc", b"HEAD"), ""),
        (bare("/streams/abc", b"DELETE"), ""),
    ],
)
def test_what_a_dead_machine_did_not_answer_the_other_one_is_asked(
    machines: tuple[Backend, Nginx], request_: bytes, key: str
) -> None:
    """A question, too: its key is the same both times, so that it begins one answer."""
    backend, nginx = machines
    with send(nginx, request_) as sock:
        first = backend.next()
        dead = first.sock.getsockname()
        first.close()
        second = backend.next()
        second.sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 204")
    assert second.sock.getsockname() != dead
    assert second.request == first.request
    sent = second.headers.get("idempotency-key", "")
    assert re.fullmatch("[0-9a-f]{32}", sent) if key == "nginx's own" else sent == key


@pytest.mark.parametrize("path", ["/chat", "/streams", "/streams/abc/stop", "/v1/chat/completions"])
def test_a_post_that_was_sent_is_not_sent_again(machines: tuple[Backend, Nginx], path: str) -> None:
    backend, nginx = machines
    with send(nginx, bare(path, b"POST", Content_Length="0")) as sock:
        exchange = backend.next()
        assert "idempotency-key" not in exchange.headers
        exchange.close()
        assert error_on(sock) == (502, "server_error", "bad_gateway")
    with send(nginx, bare("/later")):
        assert backend.next().line.startswith("GET /later")


def test_a_post_that_could_not_be_sent_goes_to_the_other_machine(backend: Backend) -> None:
    line = f"server 127.0.0.1:{backend.port};"
    with Nginx(backend.port, times={line: f"server 127.0.0.1:{free_port()}; {line}"}) as nginx:
        for _ in range(2):  # at least one of them meets the dead machine
            with send(nginx, bare("/chat", b"POST", Content_Length="0")) as sock:
                backend.next().sock.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                assert sock.recv(65536).startswith(b"HTTP/1.1 204")


def test_an_answer_that_has_begun_is_not_begun_again(machines: tuple[Backend, Nginx]) -> None:
    backend, nginx = machines
    with send(nginx, bare("/streams/abc")) as sock:
        exchange = backend.next()
        exchange.begin()
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        exchange.close()
        assert sock.recv(65536) == b""
    with send(nginx, bare("/later")):
        assert backend.next().line.startswith("GET /later")


def test_a_machine_that_refuses_is_not_left_out(machines: tuple[Backend, Nginx]) -> None:
    """Without Redis all refuse, and still answer the rest."""
    backend, nginx = machines
    asked = set()
    for _ in range(4):
        with send(nginx, bare("/streams/abc")) as sock:
            exchange = backend.next()
            asked.add(exchange.sock.getsockname())
            exchange.sock.sendall(b"HTTP/1.1 503 Away\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 503")
    assert len(asked) == 2


def test_no_log_holds_a_query(nginx: Nginx, backend: Backend) -> None:
    with ask(nginx, "/chat?prompt=secret", Referer="http://a/?prompt=secret") as client:
        backend.next().close()
        client.getresponse()
    with send(nginx, b"POST /chat?prompt=secret HTTP/1.1\r\nHost: a\r\nContent-Length: 21000000\r\n\r\n") as sock:
        error_on(sock)
    until(lambda: nginx.access_log().count(" /chat HTTP/1.1") == 2)  # a line is written once the response is sent
    assert '"GET /chat HTTP/1.1" 502' in nginx.access_log()
    assert "secret" not in nginx.access_log() + nginx.error_log()


def test_static_files_come_from_nginx_and_may_be_kept(nginx: Nginx) -> None:
    name = next(path.name for path in (ROOT / "static").iterdir() if path.suffix in (".css", ".js"))
    with ask(nginx, f"/static/{name}", Accept_Encoding="gzip") as client:
        response = client.getresponse()
        assert (response.status, response.getheader("Cache-Control")) == (200, "max-age=3600")
        assert "; charset=utf-8" in response.getheader("Content-Type", "")
        assert response.getheader("Access-Control-Allow-Origin") == "*"
        assert response.getheader("Cross-Origin-Resource-Policy") == "cross-origin"
        response.read()


def test_http_is_sent_to_https_where_there_is_https(tls: Nginx) -> None:
    with ask(tls, "/chat?a=b", Host="example.org") as client:
        response = client.getresponse()
        assert (response.status, response.getheader("Location")) == (308, "https://example.org/chat?a=b")


def statuses(nginx: Nginx, source: str) -> set[int]:
    found = set()
    for _ in range(100):
        with ask(nginx, source=source) as client:
            found.add(client.getresponse().status)
    return found


def test_a_flood_from_one_address_gets_429_and_this_machine_does_not() -> None:
    with Nginx(free_port()) as nginx:
        assert statuses(nginx, "127.0.0.1") == {502}
        assert statuses(nginx, "127.0.0.2") == {502, 429}
