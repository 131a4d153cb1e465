"""Whoever leaves is seen at once, in every phase and format: the upstream is closed, nothing is paid for nobody."""

from __future__ import annotations

import socket
import time

import psutil
import pytest

from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server
from tests.system.talk import NEVER, POST, ask, fetch, fin, final, held, read_until, rst, stream_id

pytestmark = pytest.mark.system

FORMATS = ("sse", "text", "ndjson", "html", "json", "poll")
PHASES = ("headers", "first token", "mid-answer")


@pytest.fixture(scope="module")
def upstream():
    with Emulator([f"w{n} " for n in range(20)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream):
    """Nothing goes on for nobody here. A heartbeat would find out, too: it never comes, so that only the watch on
    the socket can."""
    with Server({"up": upstream.table}, grace=0, heartbeat=NEVER, status_wait=0.5) as server:
        yield server


def wait_for_log(server: Server, id: str, events: int) -> None:
    path, until = server.folder / "streams" / f"{id}.log", time.monotonic() + DEADLINE
    while path.read_bytes().count(b"\n") < 1 + events:
        assert time.monotonic() < until
        time.sleep(0.01)


def begin(server: Server, format: str, phase: str) -> socket.socket:
    """A client that waits for the next event in this format."""
    if format != "poll":
        sock = ask(server, f"/chat?format={format}")
    else:
        with ask(server, "/streams", close=True) as starting:
            id = stream_id(read_until(starting, b"\r\n\r\n"))
        after = 3 if phase == "mid-answer" else 0
        wait_for_log(server, id, after)  # not by asking: with grace 0 who has his answer has left
        sock = fetch(server, f"/streams/{id}?format=json&wait=25&after={after}")
    if format not in ("json", "poll") and phase != "headers":
        read_until(sock, b"\r\n\r\n")
    return sock


@pytest.mark.parametrize("leave", [fin, rst])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("format", FORMATS)
def test_a_client_that_leaves_closes_the_upstream(server, upstream, format, phase, leave):
    left = upstream.left
    with held(upstream, phase) as reached:
        sock = begin(server, format, phase)
        assert reached()
        assert upstream.left == left
        leave(sock)
        assert upstream.wait(lambda: upstream.left == left + 1)
    sock.close()


def test_a_client_that_leaves_in_its_own_body_asks_nothing(server, upstream):
    asked = len(upstream.asked)
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(POST % (b"/chat", 100, b"", b"prompt=Hi"))
        fin(sock)
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert len(upstream.asked) == asked


def test_two_followers_and_one_leaves(server, upstream):
    with held(upstream, "mid-answer") as reached:
        first = ask(server, "/chat?format=sse")
        id = stream_id(read_until(first, b"\r\n\r\n"))
        second = fetch(server, f"/streams/{id}?format=sse")
        read_until(second, b"w2 ")
        assert reached()
        left = upstream.left
        rst(first)
        assert [server.get("/healthz")[0] for _ in range(20)] == [200] * 20
        assert upstream.left == left
    assert b"event: done" in read_until(second, b"event: done")
    second.close()
    assert upstream.left == left


def test_the_last_of_two_followers_closes_the_upstream(server, upstream):
    left = upstream.left
    with held(upstream, "mid-answer") as reached:
        first = ask(server, "/chat?format=sse")
        id = stream_id(read_until(first, b"\r\n\r\n"))
        second = fetch(server, f"/streams/{id}?format=text")
        read_until(second, b"w2 ")
        assert reached()
        rst(first)
        rst(second)
        assert upstream.wait(lambda: upstream.left == left + 1)


def test_an_answer_goes_on_for_as_long_as_grace():
    upstream = Emulator(["x "] * 100_000, pace=0.02)
    with upstream, Server({"up": upstream.table}, grace=2, heartbeat=NEVER) as server:
        sock = ask(server, "/chat?format=sse")
        id = stream_id(read_until(sock, b"x "))
        rst(sock)
        sent = upstream.sent
        assert upstream.wait(lambda: upstream.sent > sent + 10)
        assert upstream.left == 0
        assert upstream.wait(lambda: upstream.left == 1)
        assert final(server, id)["error"]["code"] == "abandoned"


def test_who_comes_back_within_grace_loses_nothing_and_asks_once():
    with (
        Emulator([f"w{n} " for n in range(20)]) as upstream,
        Server({"up": upstream.table}, heartbeat=NEVER) as server,
    ):
        with held(upstream, "mid-answer") as reached:
            sock = ask(server, "/chat?format=sse")
            id = stream_id(read_until(sock, b"w2 "))
            assert reached()
            rst(sock)
        again = fetch(server, f"/streams/{id}?format=text")
        body = read_until(again, b"0\r\n\r\n")
        again.close()
        assert all(f"w{n} ".encode() in body for n in range(20))
        assert (len(upstream.asked), upstream.left) == (1, 0)


# -- a second request behind the first one, on the same connection ----------------------------------------------


def cpu(server: Server) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in server.worker_pids()]
    return sum(item.user + item.system for item in times)


def test_a_pipelined_request_waits_for_its_turn_and_costs_nothing_meanwhile(server, upstream):
    with held(upstream, "mid-answer") as reached:
        sock = ask(server, "/chat?format=sse")
        data = read_until(sock, b"w2 ")
        assert reached()
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        before = cpu(server)
        time.sleep(1)
        assert cpu(server) - before < 0.5  # s of CPU; a watch that spins takes all of it
    data = read_until(sock, b'{"status":"ok"}', data)
    sock.close()
    assert data.index(b"event: done") < data.index(b'{"status":"ok"}')


def test_two_questions_on_one_connection_get_their_answers_in_turn(server, upstream):
    upstream.gate = None
    sock = ask(server, "/chat?format=text")
    body = b"prompt=Ho"
    sock.sendall(POST % (b"/chat?format=ndjson", len(body), b"Connection: close\r\n", body))
    data = b""
    while more := sock.recv(65536):
        data += more
    sock.close()
    one, _, two = data.partition(b"0\r\n\r\n")
    assert b"text/plain" in one and b"w19 " in one
    assert b"application/x-ndjson" in two and b'"type":"done"' in two


def test_who_leaves_behind_a_pipelined_request_is_found_by_the_heartbeat(upstream):
    with Server({"up": upstream.table}, grace=0, heartbeat=0.3) as server:
        left = upstream.left
        with held(upstream, "mid-answer") as reached:
            sock = ask(server, "/chat?format=sse")
            read_until(sock, b"w2 ")
            assert reached()
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_until(sock, b": ping")
            rst(sock)
            assert upstream.wait(lambda: upstream.left == left + 1)


@pytest.fixture(scope="module")
def keeping(upstream):
    """Here an answer goes on for a while."""
    with Server({"up": upstream.table}, grace=1, heartbeat=NEVER, status_wait=0.5) as server:
        yield server


CODE, PLAIN = b'"code":"bad_request"', b"Content-Type: text/plain"
MESSAGES = b'"messages":[{"role":"user","content":"Hi"}]}'


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (b"/chat?format=json", b'{"prompt":"Hi"}', CODE),
        (b"/chat?format=text", b'{"prompt":"Hi"}', PLAIN),
        (b"/v1/chat/completions", b"{" + MESSAGES, CODE),
        (b"/v1/chat/completions", b'{"stream":true,' + MESSAGES, CODE),
        (b"/v1/messages", b'{"stream":true,"max_tokens":9,' + MESSAGES, b'"type":"invalid_request_error"'),
        (b"/v1/responses", b'{"stream":true,"input":"Hi"}', CODE),
        (b"/api/chat", b"{" + MESSAGES, b'{"error":"'),
        (b"/ui/chat", b'{"id":"c","messages":[{"role":"user","parts":[{"type":"text","text":"Hi"}]}]}', PLAIN),
    ],
)
@pytest.mark.parametrize("kept", ["server", "keeping"])
def test_who_closes_only_its_own_side_hears_why_there_is_no_answer(request, upstream, kept, path, body, says):
    """As it reads on, it must not be told to try again: SDKs would, and pay again."""
    server = request.getfixturevalue(kept)
    with held(upstream, "headers") as reached, socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(POST.replace(b"x-www-form-urlencoded", b"json") % (path, len(body), b"", body))
        assert reached()
        fin(sock)
        said = read_until(sock, says, read_until(sock, b"Keep it open"))
    assert said.startswith(b"HTTP/1.1 400 ")
