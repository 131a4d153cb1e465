"""Requests that nobody should send: a 4xx in the one error shape or a closed connection, and nothing stays behind."""

from __future__ import annotations

import json
import socket
import threading
import time

import psutil
import pytest

from tests.system.malformed import CASES, HEAD, MARK, ODD, get, post
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system

HEALTH = get(b"/healthz")
KEEPALIVE = 2  # s; also the limit for a request's headers
LIMITS = {"body_timeout": 1, "ttl": 1}
FAST = {"demo": {"kind": "demo", "models": ["demo"], "pace": 100000, "tokens": 3}}


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("GUNICORN_CMD_ARGS", f"--keep-alive {KEEPALIVE}")
        with Server(FAST, **LIMITS) as server:
            yield server


def exchange(server: Server, data: bytes, half_close: bool = True) -> bytes:
    """What comes back until the server closes; a reset counts as closing."""
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        answer = b""
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before it was whole: an answer may be there
        try:
            while more := sock.recv(65536):
                answer += more
        except TimeoutError:
            raise
        except OSError:
            pass
        return answer


def responses(data: bytes) -> list[tuple[int, str, bytes]]:
    """The status, type and body of each response in `data`; what has no length takes the rest."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(status_line.removeprefix("HTTP/1.")[2:5])
        if status > 100:
            length = int(headers.get("content-length", len(data)))
            found.append((status, headers.get("content-type", ""), data[:length]))
            data = data[length:]
    return found


def check_refusal(status: int, content_type: str, body: bytes) -> None:
    assert 400 <= status < 500 or status in (501, 505)
    assert content_type == "application/json"
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["message"] and error["type"] and error["code"]
    assert MARK.decode() not in error["message"]


@pytest.mark.parametrize("name", CASES)
def test_it_gets_the_one_error_shape_or_a_closed_connection(server, name):
    for response in responses(exchange(server, CASES[name])):
        check_refusal(*response)


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_clear_is_served(server, name):
    (response,) = responses(exchange(server, ODD[name], half_close=False))
    assert response[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"garbage\r\n\r\n", b"\0" * 10_000, b"GET / HTTP/9.9\r\n\r\n", post(b"{"), b"GET /chat"]
)
def test_garbage_behind_a_good_request_spoils_only_itself(server, garbage):
    good = HEALTH.replace(b"Connection: close\r\n", b"")
    (status, _, body), *refusals = responses(exchange(server, good + garbage))
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    for refusal in refusals:
        check_refusal(*refusal)


@pytest.mark.parametrize(
    "broken",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3;\x01\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 100\r\n\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: x\r\n\r\n",
    ],
)
def test_nothing_behind_a_broken_body_is_taken_for_a_request(server, broken):
    smuggled = b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" + broken + HEALTH
    (response,) = responses(exchange(server, smuggled))
    check_refusal(*response)


def test_what_follows_a_body_that_came_too_late_is_no_request(server):
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc")
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        try:
            sock.sendall(HEALTH)
            answer += sock.recv(65536)
        except ConnectionError:
            pass
    assert answer.count(b"HTTP/1.1 ") == 1


# -- slow requests ----------------------------------------------------------------------------------------------


def drip(server: Server, head: bytes) -> bytes:
    """Sends `head`, then a byte now and then, until the server ends it; gives what it said."""
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(head)
        sock.settimeout(0.2)
        answer, until = b"", time.monotonic() + DEADLINE
        while time.monotonic() < until:
            try:
                if not (more := sock.recv(65536)):
                    return answer
                answer += more
            except TimeoutError:
                try:
                    sock.send(b"x")
                except OSError:
                    return answer
            except OSError:
                return answer
    raise AssertionError("the server let it go on")


SLOW = {
    "request line": b"GET /",
    "header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
    "body": b"POST /chat HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\n",
    "chunked body": b"POST /chat HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n",
    "chunk size": b"POST /chat HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
    "multipart body": b"POST /chat HTTP/1.1\r\n"
    + HEAD
    + b"Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
    "body that nobody reads": b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
}


ANSWERED = (
    "body",
    "chunked body",
    "chunk size",
    "multipart body",
)  # the others have no request to answer, or had one


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_request_is_ended_while_others_are_served(server, name):
    ended: list[bytes] = []
    slow = [threading.Thread(target=lambda: ended.append(drip(server, SLOW[name]))) for _ in range(5)]
    for thread in slow:
        thread.start()
    assert server.get("/healthz")[0] == 200
    assert any(thread.is_alive() for thread in slow)
    for thread in slow:
        thread.join(DEADLINE)
    assert len(ended) == 5
    for answer in ended:
        for response in responses(answer):
            check_refusal(*response)
    assert (b" 408 " in ended[0]) == (name in ANSWERED)


# -- and after all of it ----------------------------------------------------------------------------------------


def descriptors(server: Server) -> int:
    return sum(psutil.Process(pid).num_fds() for pid in server.worker_pids())


def test_nothing_stays_behind():
    """No traceback, no word of a prompt in the log, no descriptor, no stream that runs."""
    with Server(FAST, **LIMITS) as server:
        pids = server.worker_pids()
        for data in ODD.values():
            exchange(server, data, half_close=False)
        until = time.monotonic() + DEADLINE
        for data in CASES.values():  # once before: the ledger and the metrics' files stay open from their first use
            exchange(server, data)
        while not (server.folder / "usage.db").exists() and time.monotonic() < until:
            time.sleep(0.1)
        before = descriptors(server)
        for data in CASES.values():
            exchange(server, data)
        until = time.monotonic() + DEADLINE
        while descriptors(server) > before and time.monotonic() < until:
            time.sleep(0.1)
        assert descriptors(server) <= before
        assert server.worker_pids() == pids
        assert server.get("/readyz")[0] == 200
        logs = [path.read_bytes() for path in (server.folder / "streams").glob("*.log")]
        assert all(b'"type":"done"' in log or b'"type":"failed"' in log for log in logs)
    said = server.text()
    assert "Traceback" not in said
    assert MARK.decode() not in said
