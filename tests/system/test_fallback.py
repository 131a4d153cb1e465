"""One upstream instead of another through the real server, and the limit for connecting."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.system.emulator import Emulator
from tests.system.server import Server
from tests.system.talk import ask, final, held, poll, read_until, stream_id

pytestmark = pytest.mark.system


@contextmanager
def unreachable() -> Iterator[str]:
    """The address of a server that takes no connection: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        for one in waiting:
            one.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator([f"w{n} " for n in range(20)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Emulator) -> Iterator[Server]:
    with unreachable() as address:
        away = {"kind": "openai", "base_url": address, "connect": 0.3, "first_token": 60}
        refused = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}
        tables = {
            "away": {**away, "models": ["away"]},
            "slow": {**away, "models": ["slow"], "fallback": ["there"]},
            "gone": {**refused, "models": ["gone"], "fallback": ["late", "there"]},
            "late": {**refused, "models": ["late"], "retries": 0},
            "there": {**upstream.table, "first_token": 60},
            "quiet": {**upstream.table, "models": ["quiet"], "first_token": 0.5, "fallback": ["there"]},
        }
        with Server(tables, status_wait=5) as server:
            yield server


def whole(server: Server, path: str) -> tuple[int, dict]:
    with closing(ask(server, path, close=True)) as sock:
        data = b""
        while more := sock.recv(65536):
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("format", ["json", "sse", "text"])
def test_no_connection_in_time_has_its_own_code(server, format):
    with closing(ask(server, f"/chat?model=away&format={format}")) as sock:
        answer = read_until(sock, b"connect" if format == "text" else b"connect_timeout")
    assert answer.startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("model", ["slow", "gone"])
def test_the_next_upstream_answers_and_done_says_so(server, upstream, model):
    status, answer = whole(server, f"/chat?model={model}&format=json")
    assert (status, answer["text"], answer["model"]) == (200, upstream.text, "emulated-1")
    assert upstream.asked[-1]["model"] == "emulated"
    done = final(server, answer["id"])
    assert (done["upstream"], done["model"]) == ("there", "emulated-1")
    assert f'upstream "{model}"' in server.text()
    assert "Asking there instead" in server.text()


def test_a_silent_upstream_may_be_paid_and_is_not_followed_by_another(server, upstream):
    asked = len(upstream.asked)
    with held(upstream, "headers"):
        status, answer = whole(server, "/chat?model=quiet&format=json")
    assert (status, answer["error"]["code"]) == (504, "first_token_timeout")
    assert len(upstream.asked) == asked + 1


def test_a_stopped_answer_tells_who_gave_it(server, upstream):
    with held(upstream, "mid-answer") as reached:
        with closing(ask(server, "/chat?model=gone&format=sse")) as sock:
            id = stream_id(read_until(sock, b"w2 "))
            assert reached()
            with closing(ask(server, f"/streams/{id}/stop")) as stop:
                read_until(stop, b"HTTP/1.1 204")
        done = final(server, id)
    assert (done["finish_reason"], done["upstream"], done["model"]) == ("cancelled", "there", "emulated")
    assert poll(server, id)["status"] == "done"
