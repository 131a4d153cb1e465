"""Long silences in OpenAI's streams: comments come, and every official client skips them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import openai
import pytest

from tests.system.clients import in_thread
from tests.system.doors import Door, asking
from tests.system.emulator import Emulator
from tests.system.program import Program
from tests.system.server import Server
from tests.system.tap import Tap
from tests.system.test_sdk_llm import llm
from tests.system.test_sdk_node import node
from tests.system.test_sdk_python import sdk

pytestmark = pytest.mark.system

PING = b"\n: "  # a line that is a comment: it cannot be within a frame, whose line breaks are escaped


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Emulator, Server]]:
    with Emulator() as upstream, Server(upstreams={"emulator": upstream.table}, heartbeat=0.1) as server:
        yield upstream, server


def python(url: str) -> str:
    with sdk(url) as client:
        stream = client.chat.completions.create(**asking("Hi", model="emulated"), stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def asynchronous(url: str) -> str:
    async def ask() -> str:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(base_url=url, api_key="sk-ours", http_client=http) as client:
            stream = await client.chat.completions.create(**asking("Hi", model="emulated"), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    return asyncio.run(ask())


def javascript(url: str, program: Program) -> str:
    chunks = node(program, Door(url, "sk-ours", "emulated"), "stream", asking("Hi", model="emulated"))
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def command(url: str, program: Program) -> str:
    return llm(program, Door(url, "sk-ours", "emulated"), "Hi").rstrip("\n")


@pytest.mark.parametrize("gate_at", [0, 25, -1])
@pytest.mark.parametrize(
    ("client", "program"),
    [(python, None), (asynchronous, None), (javascript, "node_sdk"), (command, "llm_program")],
)
def test_a_client_skips_the_comments_of_a_silence(
    front, client: Callable[..., str], program: str | None, gate_at: int, request: pytest.FixtureRequest
):
    upstream, server = front
    programs = [request.getfixturevalue(program)] if program else []
    upstream.gate, upstream.gate_at = threading.Event(), gate_at
    with Tap(server.port) as tap:
        answer = in_thread(client, f"http://127.0.0.1:{tap.port}/v1", *programs)
        try:
            assert tap.wait_for(PING, 3)
        finally:
            upstream.gate.set()
            upstream.gate = None
        assert answer.result() == upstream.text
