"""An old client at OpenAI's API: HTTP/1.0, and no header but Authorization."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Emulator, Server]]:
    with Emulator() as upstream, Server(upstreams={"emulator": upstream.table}, open=1) as server:
        yield upstream, server


def ask(server: Server, method: str, path: str, question: dict | None = None) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, headers and body; the server closes behind it."""
    body = json.dumps(question).encode() if question is not None else b""
    length = b"Content-Length: %d\r\n" % len(body) if body else b""  # without which HTTP/1.0 knows no body
    head = f"{method} /v1{path} HTTP/1.0\r\nAuthorization: Bearer sk-ours\r\n".encode()
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(head + length + b"\r\n" + body)
        data = b""
        while more := sock.recv(65536):
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = (each.decode().split(": ", 1) for each in lines)
    return line, {name.lower(): value for name, value in pairs}, body


QUESTION = {"model": "emulated", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_stream_comes_without_chunks_of_http(front):
    upstream, server = front
    line, headers, body = ask(server, "POST", "/chat/completions", {**QUESTION, "stream": True})
    assert line.split()[1] == b"200"
    assert headers["content-type"].startswith("text/event-stream")
    assert "transfer-encoding" not in headers
    *frames, done, rest = body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames if not frame.startswith(b":")]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == upstream.text


def test_a_whole_answer_comes_with_its_length(front):
    upstream, server = front
    line, headers, body = ask(server, "POST", "/chat/completions", QUESTION)
    assert line.split()[1] == b"200"
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body)["choices"][0]["message"]["content"] == upstream.text


def test_the_models_are_listed(front):
    line, _, body = ask(front[1], "GET", "/models")
    assert line.split()[1] == b"200"
    assert [model["id"] for model in json.loads(body)["data"]] == ["emulated"]


def test_an_error_has_its_status_and_shape(front):
    line, _, body = ask(front[1], "POST", "/chat/completions", {**QUESTION, "model": "none"})
    assert line.split()[1] == b"404"
    assert json.loads(body)["error"]["code"] == "model_not_found"


def test_a_stream_that_breaks_says_so_and_is_not_done(front):
    upstream, server = front
    upstream.cut_after = 5
    try:
        _, _, body = ask(server, "POST", "/chat/completions", {**QUESTION, "stream": True})
    finally:
        upstream.cut_after = None
    assert b"[DONE]" not in body
    assert json.loads(body.rstrip().rpartition(b"data: ")[2])["error"]["code"] == "upstream_broke"
