"""OpenAI's API as a user runs it: the real model, leaving clients, silences, failures, old clients."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.system.emulator import Emulator
from tests.system.server import DEADLINE, Server
from tests.system.talk import fin, held, read_until, rst

pytestmark = pytest.mark.system

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Name three colours."}]
# top_p as we set it where nobody says: so both sides are asked the same.
SURE = {"model": "SmolLM2-135M-Instruct", "temperature": 0, "top_p": 0.9, "seed": 1, "max_tokens": 8}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
SHAPE = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}, "required": ["a"]}
SHAPED = {"type": "json_schema", "json_schema": {"name": "s", "schema": SHAPE}}
TIMES = ("id", "created", "timings")
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n%b\r\n%b"
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator([f"w{n} " for n in range(20)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Emulator) -> Iterator[Server]:
    with Server({"up": upstream.table}, heartbeat=0.5, status_wait=0.5) as server:
        yield server


@pytest.fixture(scope="module")
def real() -> Iterator[Server]:
    with Server(upstreams={}) as server:
        yield server


def straight(server: Server, path: str, body: dict) -> requests.Response:
    """The model's own server is asked, past Millstream."""
    found: dict[str, str] = {}
    for process in psutil.Process(server.process.pid).children(recursive=True):
        found |= {name: value for name, value in process.environ().items() if name.startswith("MILLSTREAM_LOCAL_")}
    url = f"http://127.0.0.1:{found['MILLSTREAM_LOCAL_PORT']}{path}"
    key = {"Authorization": f"Bearer {found['MILLSTREAM_LOCAL_KEY']}"}
    return requests.post(url, json=body, headers=key, timeout=DEADLINE)


def through(server: Server, path: str, body: dict, **headers: str) -> requests.Response:
    return requests.post(server.url + path, json=body, headers=headers, timeout=DEADLINE)


def timeless(document: dict) -> dict:
    """Without ids, clocks and timings; with the `refusal` that OpenAI's schema requires and llama.cpp leaves out."""
    kept = {name: value for name, value in document.items() if name not in TIMES}
    for choice in kept.get("choices", []):
        if "message" in choice:
            choice["message"].setdefault("refusal", None)
        said = choice.get("message") or choice.get("delta") or {}
        for call in said.get("tool_calls") or []:
            call.pop("id", None)
    return kept


def frames(body: str) -> list[dict]:
    """All frames up to [DONE], which has to be there."""
    *datas, last = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    assert last == "[DONE]"
    return [json.loads(data) for data in datas]


def send(
    server: Server, body: dict, version: bytes = b"1.1", headers: bytes = b"", path: str = CHAT
) -> socket.socket:
    data = json.dumps(body).encode()
    sock = socket.create_connection((server.host, server.port), DEADLINE)
    sock.sendall(REQUEST % (len(data), headers, data))
    return sock


def rest(sock: socket.socket) -> bytes:
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


# -- the real model ---------------------------------------------------------------------------------------------

CASES = {
    "plain": (CHAT, {"messages": HI}),
    "one token": (CHAT, {"messages": HI, "max_tokens": 1}),
    "nothing before the stop": (CHAT, {"messages": HI, "stop": ["1", "Red", "Here"]}),
    "logprobs": (CHAT, {"messages": HI, "logprobs": True, "top_logprobs": 2}),
    "two answers": (CHAT, {"messages": HI, "n": 2}),
    "a tool": (CHAT, {"messages": HI, "tools": [TOOL]}),
    "a shape": (CHAT, {"messages": HI, "max_tokens": 24, "response_format": SHAPED}),
    "parts": (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Say yes."}]}]}),
    "legacy": ("/v1/completions", {"prompt": "Red, green"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_model_answers_through_us_as_it_does_itself(real: Server, case: str) -> None:
    path, fields = CASES[case]
    body = SURE | {"cache_prompt": False} | fields
    ours = through(real, path, body)  # first: it waits until the model is loaded
    assert ours.status_code == 200, ours.text
    theirs = timeless(straight(real, path, body).json())
    for choice in theirs["choices"]:
        if "message" in choice:  # OpenAI's schema wants it
            choice["message"] = {"refusal": None, **choice["message"]}
    assert timeless(ours.json()) == theirs


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("usage", [True, False])
def test_chunk_by_chunk_as_well(real: Server, case: str, usage: bool) -> None:
    path, fields = CASES[case]
    body = SURE | {"cache_prompt": False, "stream": True} | fields
    if usage:
        body["stream_options"] = {"include_usage": True}
    ours = frames(through(real, path, body).text)
    theirs = frames(straight(real, path, body).text)
    # Several answers are interleaved as the model likes.
    assert sorted(map(timeless, ours), key=index) == sorted(map(timeless, theirs), key=index)


def index(frame: dict) -> int:
    return frame["choices"][0]["index"] if frame["choices"] else 99


# -- leaving, silence, failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", [fin, rst])
@pytest.mark.parametrize("phase", ["headers", "first token", "mid-answer"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_closes_the_upstream(server, upstream, stream, phase, leave) -> None:
    left = upstream.left
    with held(upstream, phase) as reached:
        sock = send(server, {"messages": HI, "stream": stream})
        assert reached()
        assert upstream.left == left
        leave(sock)
        assert upstream.wait(lambda: upstream.left == left + 1)
    sock.close()


def test_with_a_key_it_goes_on_and_comes_again_whole(server, upstream) -> None:
    asked, left = len(upstream.asked), upstream.left
    body, key = {"messages": HI, "stream": True}, b"Idempotency-Key: again\r\n"
    with held(upstream, "mid-answer") as reached:
        with send(server, body, headers=key) as sock:
            assert reached()
            read_until(sock, b"w2 ")
        with send(server, body, headers=key) as sock:
            first = read_until(sock, b"w2 ")
            upstream.gate.set()
            whole = read_until(sock, b"[DONE]", first)
    assert contents(whole) == upstream.tokens
    assert (len(upstream.asked), upstream.left) == (asked + 1, left)


def contents(body: bytes) -> list[str]:
    deltas = [frame["choices"][0]["delta"] for frame in frames(body.decode())]
    return [delta["content"] for delta in deltas if "content" in delta]


@pytest.mark.parametrize("phase", ["headers", "first token", "mid-answer"])
def test_heartbeats_fill_the_silence(server, upstream, phase) -> None:
    left = upstream.left
    with held(upstream, phase) as reached:
        with send(server, {"messages": HI, "stream": True}) as sock:
            assert reached()
            read_until(sock, b": ping\n")
        assert upstream.wait(lambda: upstream.left == left + 1)


def test_a_failure_in_mid_answer_is_an_error_and_a_clean_end(server, upstream) -> None:
    upstream.cut_after = 3
    try:
        streamed = through(server, CHAT, {"messages": HI, "stream": True})
        whole = through(server, CHAT, {"messages": HI})
    finally:
        upstream.cut_after = None
    lines = [line for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert (streamed.status_code, len(lines)) == (200, 4)
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "upstream_broke"
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "upstream_broke")


def test_a_refusal_has_its_status_before_the_first_byte() -> None:
    table = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["m"], "retries": 0}
    with Server({"away": table}) as server:
        for stream in (True, False):
            response = through(server, CHAT, {"messages": HI, "stream": stream})
            assert (response.status_code, response.json()["error"]["type"]) == (502, "upstream_error")
            assert len(response.headers["x-request-id"]) == 22


@pytest.mark.parametrize("stream", [True, False])
def test_an_old_client_over_http_10_with_only_authorization(server, upstream, stream) -> None:
    data = json.dumps({"messages": HI, "model": "emulated", "stream": stream}).encode()
    with socket.create_connection((server.host, server.port), DEADLINE) as sock:
        sock.sendall(
            b"POST %b HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: %d\r\n\r\n%b"
            % (CHAT.encode(), len(data), data)
        )
        head, _, body = rest(sock).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"200"
    assert b"chunked" not in head.lower()
    if stream:
        assert [
            frame["choices"][0]["delta"].get("content") for frame in frames(body.decode())[:-1]
        ] == upstream.tokens
    else:
        assert json.loads(body)["choices"][0]["message"]["content"] == upstream.text


def test_the_end_is_counted_with_its_api_and_what_was_written(server, upstream) -> None:
    with held(upstream, "mid-answer") as reached:
        sock = send(server, {"messages": HI, "stream": True})
        assert reached()
        head = read_until(sock, b"w2 ")
        id = head.split(b"x-request-id: ")[1].split(b"\r\n")[0].decode()
        fin(sock)
        row = ended(server, id)
    sock.close()
    assert (row["end"], row["source"]) == ("abandoned", "estimated")
    assert row["output"] > 0


def ended(server: Server, id: str) -> dict:
    """The line that the log has for this stream's end; waits for it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for line in server.text().splitlines():
            if id in line and '"route"' not in line:  # that one says only that the client left
                return json.loads(line[line.index("{") :])
        time.sleep(0.02)
    raise AssertionError(server.text())
