"""What the tests of SockJS, Nchan and Mercure try of their servers, tried of ours."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from http.client import HTTPException

import pytest

from millstream.wire.sse import Decoder
from tests.system import crowd
from tests.system.clients import Client, EventSource, Html, Ndjson, Polling, Sse, Text, Waiting, in_thread, until
from tests.system.crowd import Crowd
from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server
from tests.system.talk import POST, ask, fetch, final, held, poll, read_until, rst, stream_id

pytestmark = pytest.mark.system

KINDS = (Sse, EventSource, Ndjson, Polling, Text)
# Round the sizes of buffers: two bytes less to two more than each power of two, and one far beyond.
LENGTHS = [*(2**power + more for power in range(8, 18) for more in range(-2, 3)), 512 << 10]
EVERY_LENGTH = ["x" * (length - 2) + "é" for length in LENGTHS]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator([f"w{n} " for n in range(20)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def many() -> Iterator[Crowd]:
    with Crowd() as many:
        yield many


@pytest.fixture(scope="module")
def server(upstream: Emulator, many: Crowd) -> Iterator[Server]:
    upstreams = {"up": upstream.table, "many": {**many.table, "models": ["many"]}}
    with Server(upstreams, grace=60, status_wait=0.5) as server:
        yield server


@pytest.fixture
def long_ones(upstream: Emulator) -> Iterator[str]:
    few, upstream.tokens = upstream.tokens, EVERY_LENGTH
    yield "".join(EVERY_LENGTH)
    upstream.tokens = few


def begin(server: Server) -> str:
    with ask(server, "/streams", close=True) as sock:
        return stream_id(read_until(sock, b"\r\n\r\n"))


def going_on(kind: type[Client], server: Server, id: str) -> Client:
    """A client of this kind that knows of a stream, and of nothing in it."""
    client = kind(server.port, "")
    client.id = id
    return client


# -- texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, Waiting])
def test_messages_of_every_length_round_the_sizes_of_buffers(server, long_ones, kind):
    client = kind(server.port, "Hi").run()
    assert client.text == long_ones
    if kind in (Sse, EventSource, Ndjson, Polling):
        assert [len(text.encode()) for _, type, text in client.events if type == "message"] == LENGTHS


def test_they_come_whole_in_the_growing_page_and_over_openais_api(server, long_ones):
    page = Html(server.port, "Hi").run()
    prose = page.body.partition(b'class="text')[2].partition(b">")[2].partition(b"</div>")[0]
    assert unescape(prose.decode()).replace("<br>", "") == long_ones
    connection = server.connect()
    asked = {"model": "emulated", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(asked))
    *frames, last = [event.data for event in Decoder().feed(connection.getresponse().read())]
    chunks = [json.loads(frame)["choices"] for frame in frames]
    assert (last, "".join(one[0]["delta"].get("content", "") for one in chunks if one)) == (b"[DONE]", long_ones)
    connection.close()


@pytest.mark.parametrize("kind", [*KINDS, Waiting])
def test_empty_messages_change_nothing(server, upstream, kind):
    few, upstream.tokens = upstream.tokens, ["", "a", "", "", "b", ""]
    try:
        client = kind(server.port, "Hi").run()
    finally:
        upstream.tokens = few
    assert (client.text, client.failure) == ("ab", "")
    assert [n for n, _, _ in client.events] == list(range(1, len(client.events) + 1))


# -- HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [b"", b"Connection: Keep-Alive\r\n", b"Connection: close\r\n"])
@pytest.mark.parametrize("format", ["text", "sse", "ndjson", "html"])
def test_over_http_1_0_a_stream_ends_with_its_connection(server, upstream, keep, format):
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        request = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
        sock.sendall(request % (f"/chat?format={format}".encode(), 9, keep, b"prompt=Hi"))
        head, _, body = b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"200"
    assert not re.search(rb"(?i)transfer-encoding|content-length|keep-alive", head)
    assert all(word.encode() in body for word in upstream.tokens)


def test_over_http_1_1_the_connection_takes_more_after_each_kind_of_answer(server, upstream):
    connection = server.connect()
    for format in ("text", "sse", "ndjson", "html", "json", "text"):
        connection.request("POST", f"/chat?format={format}", "prompt=Hi")
        assert upstream.tokens[-1].encode().strip() in (response := connection.getresponse()).read()
        assert (response.status, response.will_close) == (200, False)
    connection.close()


@pytest.mark.parametrize("path", ["/chat", "/streams", "/login", "/v1/chat/completions", "/streams/x/stop"])
def test_a_post_with_neither_body_nor_length_is_answered_at_once(server, path):
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(b"POST %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        assert read_until(sock, b"\r\n\r\n").split(b" ")[1] in (b"400", b"404")


# -- many at once -----------------------------------------------------------------------------------------------


def test_sixty_streams_side_by_side_never_mix(server):
    asked = {size: f"tokens=30 every=0.01 size={size}" for size in range(4, 64)}
    running = {
        size: KINDS[size % len(KINDS)](server.port, question, model="many").start()
        for size, question in asked.items()
    }
    for size, client in running.items():
        assert client.wait().text == crowd.text(30, size), (type(client).__name__, size)


def test_a_hundred_followers_of_one_stream_get_the_same(server, upstream):
    with held(upstream, "mid-answer") as stands:
        id = begin(server)
        stands()
        following = [going_on(KINDS[n % len(KINDS)], server, id).start() for n in range(100)]
        until(lambda: all(client.connections for client in following))
    assert {client.wait().text for client in following} == {upstream.text}


def test_polls_that_wait_at_the_same_time_all_get_the_news(server, upstream):
    with held(upstream, "mid-answer") as stands:
        id = begin(server)
        stands()
        path = f"/streams/{id}?format=json&wait=20&after=3"
        waiting = [in_thread(server.get, path) for _ in range(5)]
        assert not any(one.done() for one in waiting)
    assert {json.loads(one.result(DEADLINE)[1])["events"][0]["n"] for one in waiting} == {4}


# -- coming back, leaving, deleting -----------------------------------------------------------------------------


def test_resumes_from_every_position_while_the_stream_runs(server, upstream):
    upstream.pace = 0.02
    try:
        id = begin(server)
        following = []
        for after in range(len(upstream.tokens)):
            until(lambda after=after: poll(server, id)["last"] >= after)
            for kind in (Sse, Ndjson, Polling, Text):
                client = going_on(kind, server, id)
                if kind is Text:
                    client.body = "".join(upstream.tokens[:after]).encode()
                else:
                    client.events = [(n, "message", text) for n, text in enumerate(upstream.tokens[:after], 1)]
                following.append(client.start())
        assert {client.wait().text for client in following} == {upstream.text}
    finally:
        upstream.pace = 0.0


def let_go(server: Server, path: str) -> None:
    """Follows to the end, whole or cut."""
    with suppress(OSError, HTTPException):
        server.get(path)


@pytest.mark.parametrize("by", ["DELETE", "stop"])
def test_followers_of_every_kind_are_let_go_when_the_stream_is_ended(server, upstream, by):
    with held(upstream, "mid-answer") as stands:
        id = begin(server)
        stands()
        formats = ("sse", "text", "ndjson", "html", "json&wait=25&after=3")
        following = [in_thread(let_go, server, f"/streams/{id}?format={format}") for format in formats]
        until(lambda: opened(server) == len(formats) - 1)
        connection = server.connect()
        connection.request(*(("DELETE", f"/streams/{id}") if by == "DELETE" else ("POST", f"/streams/{id}/stop")))
        assert connection.getresponse().status == 204
        connection.close()
        for one in following:
            one.result(DEADLINE)
    assert server.get(f"/streams/{id}")[0] == (404 if by == "DELETE" else 200)


def opened(server: Server) -> float:
    """The streamed responses that are open."""
    found = re.findall(rb"^millstream_responses_open\{.*\} ([0-9.]+)$", server.get("/metrics")[1], re.MULTILINE)
    return sum(map(float, found))


def test_aborts_of_every_kind_leave_nothing_behind(server, upstream):
    with held(upstream, "mid-answer") as stands:
        id = begin(server)
        stands()
        for format in ("sse", "text", "ndjson", "html", "json&wait=25&after=3"):
            for _ in range(20):
                sock = fetch(server, f"/streams/{id}?format={format}")
                if "json&" not in format:
                    read_until(sock, b"\r\n\r\n")
                rst(sock)
        until(lambda: not opened(server))
    assert final(server, id)["type"] == "done"
