"""The makers' own packages for Python, unchanged, at the doors of their dialects."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import agents
import anthropic
import ollama
import openai
import pytest
from pydantic import BaseModel

from tests.system.obedient import WORDS, Obedient
from tests.system.redis_server import RedisServer
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system

TEXT = "".join(f"{word} " for word in WORDS)
HI: Any = [{"role": "user", "content": "Hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Obedient]:
    with Obedient() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Obedient) -> Iterator[Server]:
    with both(upstream) as server:
        yield server


@contextmanager
def both(upstream: Obedient) -> Iterator[Server]:
    """Models ending in -r are behind another server's Responses API, whose events pass."""
    names = ["plain-r", "thinks-r", "slow-r"]
    with Server({"up": upstream.table | {"models": names}}) as behind:
        through = {"kind": "responses", "base_url": f"{behind.url}/v1", "models": names}
        demo = {"kind": "demo", "models": ["demo"]}
        with Server({"up": upstream.table, "through": through, "demo": demo}, workers=2) as server:
            yield server


through = pytest.mark.parametrize("to", ["", "-r"])


# -- OpenAI's Responses -------------------------------------------------------------------------------------------


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="x", max_retries=0, timeout=DEADLINE, _strict_response_validation=True
    ) as client:
        yield client


@through
def test_responses_are_created_streamed_and_parsed(sdk, to):
    class Weather(BaseModel):
        city: str

    answer = sdk.responses.create(model=f"thinks{to}", input="Hi")
    assert (answer.output_text, answer.status, answer.usage.input_tokens_details.cached_tokens) == (
        TEXT,
        "completed",
        4,
    )
    with sdk.responses.stream(model=f"thinks{to}", input="Hi", tools=[TOOL]) as stream:
        types = [event.type for event in stream]
        reasoning, call = stream.get_final_response().output
    assert types[0] == "response.created" and types[-1] == "response.completed"
    assert (reasoning.summary[0].text, call.parsed_arguments) == ("Let me ", {"city": "Paris"})
    assert sdk.responses.parse(model=f"plain{to}", input="Hi", text_format=Weather).output_parsed == Weather(
        city="Paris"
    )


@through
def test_a_background_response_is_followed_again_after_a_cut(sdk, to):
    seen = []
    for event in sdk.responses.create(model=f"slow{to}", input="Hi", background=True, stream=True):
        seen.append(event.to_dict())
        if len(seen) == 7:
            break
    id = seen[0]["response"]["id"]
    seen += [event.to_dict() for event in sdk.responses.retrieve(id, stream=True, starting_after=6)]
    assert [event["sequence_number"] for event in seen] == [*range(len(seen))]
    assert [event.to_dict() for event in sdk.responses.retrieve(id, stream=True)] == seen
    with sdk.responses.stream(response_id=id, starting_after=6) as stream:
        assert next(iter(stream)).sequence_number == 7
    assert sdk.responses.retrieve(id).output_text == TEXT


def test_what_came_of_a_background_response_survives_its_workers_death_and_a_restart():
    with Obedient(pace=0.3) as upstream, both(upstream) as server:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=5, timeout=DEADLINE) as sdk:
            streams = [
                sdk.responses.create(model=name, input="Hi", background=True, stream=True)
                for name in ("slow", "slow-r")
            ]
            seen = [[*islice(stream, 7)] for stream in streams]
            for pid in server.worker_pids():
                os.kill(pid, signal.SIGKILL)
            for events in seen:
                with pytest.raises(openai.APIError):
                    for event in sdk.responses.retrieve(events[0].response.id, stream=True, starting_after=6):
                        events.append(event)
                assert [event.sequence_number for event in events] == [*range(len(events))]
                assert sdk.responses.retrieve(events[0].response.id).status == "failed"
        urls = [f"/v1/responses/{events[0].response.id}?stream=true" for events in seen]
        told = [server.get(url) for url in urls]
        server.process.send_signal(signal.SIGINT)
        server.process.wait(DEADLINE)
        server.start()
        assert [server.get(url) for url in urls] == told
        assert len(upstream.asked) == 2


def corked(port: int, body: bytes) -> None:
    """Asks, and leaves with the last byte of the question."""
    head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        sock.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))


def test_a_background_response_whose_id_nobody_heard_is_the_repeats(sdk, server, upstream):
    asked: Any = {"model": "slow", "input": "Once only", "background": True}
    before, line = len(upstream.asked), '"route":"/v1/responses"'
    lines = server.text().count(line)
    corked(server.port, json.dumps(asked).encode())
    while server.text().count(line) == lines:  # until it is answered; the test's own limit ends it
        time.sleep(0.05)
    again, other = (sdk.responses.create(**asked).id for _ in range(2))
    for id in (again, other):
        while (answer := sdk.responses.retrieve(id)).status in ("queued", "in_progress"):
            time.sleep(0.05)
        assert answer.output_text == TEXT
    assert (again != other, len(upstream.asked) - before) == (True, 2)


def test_a_background_response_is_followed_on_another_machine():
    with RedisServer() as redis, Obedient(pace=0.2) as upstream, ExitStack() as stack:
        one, two = (stack.enter_context(Server({"up": upstream.table}, store=redis.url)) for _ in range(2))
        here, there = (
            stack.enter_context(openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", timeout=DEADLINE))
            for server in (one, two)
        )
        seen = []
        for event in here.responses.create(model="slow", input="Hi", background=True, stream=True):
            seen.append(event)
            if len(seen) == 7:
                break
        id = seen[0].response.id
        seen += there.responses.retrieve(id, stream=True, starting_after=6)
        assert [event.to_dict() for event in seen] == [
            event.to_dict() for event in here.responses.retrieve(id, stream=True)
        ]
        assert seen[-1].response.output_text == TEXT


def test_a_background_response_is_cancelled_listed_and_erased(sdk):
    begun = sdk.responses.create(model="demo?tokens=100000&pace=20", input="Hi", background=True)
    assert begun.status == "queued"
    stopped = sdk.responses.cancel(begun.id)
    assert stopped.status == "cancelled"
    assert sdk.responses.input_items.list(begun.id).data[0].content[0].text == "Hi"
    assert sdk.responses.delete(begun.id) is None
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(begun.id)


@through
def test_a_stored_response_goes_on(sdk, upstream, to):
    first = sdk.responses.create(model=f"plain{to}", input="Hi", store=True)
    second = sdk.responses.create(model=f"plain{to}", input="and?", previous_response_id=first.id)
    assert [message["content"] for message in upstream.asked[-1]["messages"]] == ["Hi", TEXT, "and?"]
    assert second.previous_response_id == first.id
    with pytest.raises(openai.BadRequestError, match="not found"):
        sdk.responses.create(model=f"plain{to}", input="and?", previous_response_id="resp_none")


def test_failures_and_limits_are_told(sdk):
    with pytest.raises(openai.APIError, match=r"broke off|failed"):
        list(sdk.responses.create(model="errs", input="Hi", stream=True))
    short = sdk.responses.create(model="short", input="Hi")
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(model="none", input="Hi")
    assert sdk.responses.input_tokens.count(model="plain", input="Hi").input_tokens > 0


def test_an_agent_calls_its_tool(server):
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0)
    model = agents.OpenAIResponsesModel(model="thinks", openai_client=client)

    @agents.function_tool
    def weather(city: str) -> str:
        """Weather"""
        return f"22 in {city}"

    agent = agents.Agent(name="A", instructions="Be short", tools=[weather], model=model)

    async def run() -> list[str]:
        streamed = agents.Runner.run_streamed(agent, "Hi")
        async for _ in streamed.stream_events():
            pass
        whole = await agents.Runner.run(agent, "Hi")
        await client.close()
        return [streamed.final_output, whole.final_output]

    assert asyncio.run(run()) == ["It says 22 in Paris"] * 2


# -- Anthropic's Messages -----------------------------------------------------------------------------------------


@pytest.fixture
def claude(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=server.url, api_key="x", max_retries=0, timeout=DEADLINE, _strict_response_validation=True
    ) as client:
        yield client


def test_messages_are_created_and_streamed(claude):
    message = claude.messages.create(model="thinks", max_tokens=99, messages=HI)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (10, 4)
    tools: Any = [{"name": "weather", "input_schema": SCHEMA}]
    with claude.messages.stream(model="thinks", max_tokens=99, messages=HI, tools=tools) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.content[1].input) == ("tool_use", {"city": "Paris"})


def test_a_tool_is_run_in_a_loop(claude):
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Weather.

        Args:
            city: a city
        """
        return f"22 in {city}"

    last = claude.beta.messages.tool_runner(model="plain", max_tokens=99, tools=[weather], messages=HI).until_done()
    assert last.content[0].text == "It says 22 in Paris"


def test_models_tokens_and_errors_are_as_anthropics(claude):
    assert "plain" in [model.id for model in claude.models.list()]
    assert claude.messages.count_tokens(model="plain", messages=HI).input_tokens > 0
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="none", max_tokens=99, messages=HI)
    with (
        pytest.raises(anthropic.APIStatusError),
        claude.messages.stream(model="errs", max_tokens=99, messages=HI) as stream,
    ):
        stream.get_final_message()


# -- Ollama -------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url, timeout=DEADLINE) as client:
        yield client


def test_ollama_chats_streams_and_generates(client):
    whole = client.chat(model="thinks", messages=HI)
    assert (whole.message.content, whole.message.thinking, whole.eval_count) == (TEXT, "Let me ", 7)
    parts = list(client.chat(model="thinks:latest", messages=HI, stream=True))
    assert "".join(part.message.content for part in parts) == TEXT
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    assert client.generate(model="plain", prompt="Hi").response == TEXT
    assert client.generate(model="plain", prompt="").done_reason == "load"


def test_ollama_calls_a_tool(client):
    def weather(city: str) -> str:
        """Weather.

        Args:
            city: a city
        """
        return "22"

    message = client.chat(model="plain", messages=HI, tools=[weather]).message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_name": call.function.name, "content": weather(**call.function.arguments)}
    assert (
        client.chat(model="plain", messages=[*HI, message, result], tools=[weather]).message.content == "It says 22"
    )


def test_ollama_lists_and_errs(client):
    assert "plain" in [model.model for model in client.list().models]
    assert "tools" in client.show("plain").capabilities
    for model, status in (("none", 404), ("errs", -1)):
        with pytest.raises(ollama.ResponseError) as caught:
            list(client.chat(model=model, messages=HI, stream=True))
        assert caught.value.status_code == status
