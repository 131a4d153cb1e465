"""Slow clients cost little and hold nobody up; a silent upstream is ended, and until then there are heartbeats."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing

import psutil
import pytest

from millstream.upstreams.demo_text import TEXT
from millstream.wire.sse import Decoder
from tests.system.emulator import Emulator
from tests.system.readable import readable
from tests.system.server import DEADLINE, Server
from tests.system.talk import NEVER, ask, fetch, held, read_until, stream_id

pytestmark = pytest.mark.system

# 600 KB of events: more than the kernel keeps for a client, unless nobody bounds it.
LONG = {"demo": {"kind": "demo", "models": ["demo"], "pace": 100_000, "tokens": 5000}}
WHOLE = "".join(TEXT[n % len(TEXT)] for n in range(5000))


class Reader:
    """A client of a stream's events. It takes nothing until told to."""

    def __init__(self, server: Server, path: str) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(DEADLINE)
        self.sock.connect((server.host, server.port))
        self.sock.sendall(b"GET %b HTTP/1.0\r\nHost: localhost\r\n\r\n" % path.encode())
        self.port = self.sock.getsockname()[1]

    def read(self) -> bytes:
        """The body, to its end or to where it was cut."""
        data = b""
        with self.sock:
            try:
                while more := self.sock.recv(65536):
                    data += more
            except ConnectionError:
                pass
        return data.partition(b"\r\n\r\n")[2]


def start(server: Server, model: str = "demo") -> str:
    with closing(ask(server, f"/streams?model={model}", close=True)) as sock:
        return stream_id(read_until(sock, b"\r\n\r\n"))


def events(body: bytes) -> list[tuple[str, dict, str]]:
    return [(event.type, json.loads(event.data), event.id) for event in Decoder().feed(body)]


def text(found: list[tuple[str, dict, str]]) -> str:
    return "".join(data["text"] for type, data, _ in found if type == "message")


def connected(server: Server, port: int) -> bool:
    """Whether the server still holds the connection from this port."""
    return any(
        connection.raddr and connection.raddr.port == port
        for pid in server.worker_pids()
        for connection in psutil.Process(pid).net_connections("tcp")
    )


def until(met) -> None:
    limit = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < limit
        time.sleep(0.05)


# -- slow clients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("while_it_runs", [True, False])
def test_a_client_that_takes_nothing_is_cut_and_resumes_with_nothing_lost(while_it_runs):
    with Server(LONG, slow_follower=1) as server:
        id = start(server)
        if not while_it_runs:
            until(lambda: b'"type":"done"' in (server.folder / "streams" / f"{id}.log").read_bytes())
        slow = Reader(server, f"/streams/{id}?format=sse")
        assert readable(slow.sock, seconds=DEADLINE)  # it is being answered
        until(lambda: not connected(server, slow.port))
        body = slow.read()
        assert len(body) < 200_000  # what the kernel kept: SO_SNDBUF, and the client's own buffer
        seen = events(body)
        rest = events(Reader(server, f"/streams/{id}?format=sse&last_event_id={seen[-1][2]}").read())
        assert text(seen) + text(rest) == WHOLE
        assert rest[-1][0] == "done"
        assert server.get("/healthz")[0] == 200
        assert "Traceback" not in server.text()


@pytest.mark.parametrize("path", ["/streams/{id}?format=json", "/streams/{id}?format=html"])
def test_who_takes_nothing_of_a_whole_answer_is_cut_too(path):
    """No follower is left to be watched there."""
    with Server(LONG, slow_follower=1) as server:
        id = start(server)
        until(lambda: b'"type":"done"' in (server.folder / "streams" / f"{id}.log").read_bytes())
        slow = Reader(server, path.format(id=id))
        assert readable(slow.sock, seconds=DEADLINE)  # it is being answered
        until(lambda: not connected(server, slow.port))
        slow.sock.close()
        assert "Traceback" not in server.text()


def test_slow_clients_hold_no_quick_one_up():
    """All of them follow one stream; the slow ones take nothing before the quick ones have everything."""
    with Server(LONG, slow_follower=NEVER) as server:
        id = start(server)
        slow = [Reader(server, f"/streams/{id}?format=sse") for _ in range(20)]
        quick = [Reader(server, f"/streams/{id}?format=sse") for _ in range(20)]
        read: dict[int, bytes] = {}
        threads = [
            threading.Thread(target=lambda n=n, reader=reader: read.update({n: reader.read()}))
            for n, reader in enumerate(quick)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert [text(events(read[n])) == WHOLE for n in range(20)] == [True] * 20
        assert all(connected(server, reader.port) for reader in slow)
        assert text(events(slow[0].read())) == WHOLE
        for reader in slow:
            reader.sock.close()


# -- a silent upstream ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream():
    with Emulator([f"w{n} " for n in range(20)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream):
    """The same upstream under four names, each with one limit that is short."""
    limits = {"first_token": 1, "silence": 1, "total": 2, "none": NEVER}
    tables = {
        name: {**upstream.table, "models": [name], **({name: limit} if name != "none" else {})}
        for name, limit in limits.items()
    }
    with Server(tables, heartbeat=0.2, status_wait=0.1) as server:
        yield server


@pytest.mark.parametrize(
    ("limit", "phase", "code"),
    [
        ("first_token", "headers", "first_token_timeout"),
        ("first_token", "first token", "first_token_timeout"),
        ("silence", "mid-answer", "silence_timeout"),
        ("total", "headers", "total_timeout"),
        ("total", "first token", "total_timeout"),
        ("total", "mid-answer", "total_timeout"),
    ],
)
def test_a_limit_that_has_passed_fails_the_answer_and_closes_the_upstream(server, upstream, limit, phase, code):
    left = upstream.left
    with held(upstream, phase) as reached:
        sock = ask(server, f"/chat?format=sse&model={limit}", close=True)
        assert reached()
        body = read_until(sock, b"event: failed")
        body = read_until(sock, b"0\r\n\r\n", body)
        assert b'"code":"%b"' % code.encode() in body
        assert upstream.wait(lambda: upstream.left == left + 1)
        sock.close()


def test_a_whole_answer_fails_with_the_limits_status(server, upstream):
    with held(upstream, "headers"):
        status, body = whole(server, "/chat?format=json&model=first_token")
    assert (status, json.loads(body)["error"]["code"]) == (504, "first_token_timeout")


def test_text_is_broken_off_by_a_limit(server, upstream):
    with held(upstream, "mid-answer"):
        _, body = whole(server, "/chat?format=text&model=silence")
    assert b"w2 " in body
    assert not body.endswith(b"0\r\n\r\n")


def whole(server: Server, path: str) -> tuple[int, bytes]:
    with closing(ask(server, path, close=True)) as sock:
        data = b""
        while more := sock.recv(65536):
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("phase", ["headers", "first token", "mid-answer"])
@pytest.mark.parametrize(
    ("format", "heartbeat"), [("sse", b": ping\n"), ("ndjson", b"\n"), ("html", b"<!-- ping -->")]
)
def test_heartbeats_come_in_silence(server, upstream, format, heartbeat, phase):
    beat = b"%X\r\n%b\r\n" % (len(heartbeat), heartbeat)  # a chunk of its own
    with held(upstream, phase) as reached:
        sock = ask(server, f"/chat?format={format}&model=none", close=True)
        assert reached()
        data = b""
        while data.count(beat) < 3:
            more = sock.recv(65536)
            assert more
            data += more
        if phase == "headers":
            upstream.before_headers = 0
            sock.close()
            return
    data = read_until(sock, b"0\r\n\r\n", data)
    sock.close()
    assert b"w19 " in data


def test_text_has_no_heartbeat(server, upstream):
    with held(upstream, "mid-answer") as reached:
        sock = ask(server, "/chat?format=text&model=none", close=True)
        assert reached()
        events = fetch(server, f"/streams/{stream_id(head := read_until(sock, b'w2 '))}?format=sse")
        read_until(events, b": ping\n")  # by now text would have had one
        events.close()
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(DEADLINE)
    body = read_until(sock, b"0\r\n\r\n", head).partition(b"\r\n\r\n")[2]
    sock.close()
    assert b"ping" not in body
