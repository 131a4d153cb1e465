"""The official `openai` package for Python, unchanged, with Millstream's address: as straight to the upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from tests.system.doors import QUESTIONS, WEATHER, Door, asking, plain
from tests.system.mock_openai import WHOLE
from tests.system.server import DEADLINE

pytestmark = pytest.mark.system

UPSTREAMS = ["llama.cpp", "mock"]


def sdk(url: str, key: str = "sk-ours", **options: Any) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(
        base_url=url, api_key=key, http_client=http, **{"max_retries": 0, "timeout": DEADLINE, **options}
    )


def chunks(door: Door, question: dict[str, Any]) -> list[dict[str, Any]]:
    with sdk(door.url, door.key) as client, client.chat.completions.create(**question, stream=True) as stream:
        return [chunk.model_dump(exclude_unset=True) for chunk in stream]


def whole(door: Door, question: dict[str, Any]) -> dict[str, Any]:
    question = {name: value for name, value in question.items() if name != "stream_options"}
    with sdk(door.url, door.key) as client:
        answer = client.chat.completions.create(**question).model_dump()
    assert answer["id"] and answer["created"]
    return plain([answer])[0]


# -- the same as straight to the upstream --------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream_is_the_same_chunk_by_chunk(doors, upstream, name):
    straight, ours = doors[upstream]
    expected, got = chunks(straight, straight.question(name)), chunks(ours, ours.question(name))
    assert plain(got) == plain(expected)
    assert len(got) > 2
    assert len({chunk["id"] for chunk in got}) == 1


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_whole_answer_is_the_same(doors, upstream, name):
    straight, ours = doors[upstream]
    assert whole(ours, ours.question(name)) == whole(straight, straight.question(name))


@pytest.mark.parametrize("model", WHOLE)
def test_a_recorded_stream_is_the_same_chunk_by_chunk(doors, model):
    question = asking("Hi", model=model, stream_options={"include_usage": True})
    straight, ours = (chunks(door, question) for door in doors["recorded"])
    assert ours == straight
    assert straight


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_the_asynchronous_client_gets_the_same(doors, upstream):
    async def ask(door: Door) -> list[dict[str, Any]]:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(base_url=door.url, api_key=door.key, http_client=http, max_retries=0) as client:
            stream = await client.chat.completions.create(**door.question("with usage"), stream=True)
            return [chunk.model_dump(exclude_unset=True) async for chunk in stream]

    straight, ours = (asyncio.run(ask(door)) for door in doors[upstream])
    assert plain(ours) == plain(straight)
    assert ours[-1]["usage"]


@pytest.mark.parametrize(
    ("upstream", "name"), [("llama.cpp", "text"), ("mock", "text"), ("mock", "tools"), ("mock", "with usage")]
)
def test_the_stream_helper_sees_the_same_events(doors, upstream, name):
    def ask(door: Door) -> tuple[list[str], dict[str, Any]]:
        with sdk(door.url, door.key) as client, client.chat.completions.stream(**door.question(name)) as stream:
            types = [event.type for event in stream]
            return types, plain([stream.get_final_completion().model_dump()])[0]

    straight, ours = doors[upstream]
    assert ask(ours) == ask(straight)


@pytest.mark.parametrize("streams", [False, True])
def test_the_legacy_api_gives_the_same(doors, streams):
    def ask(door: Door) -> list[dict[str, Any]]:
        question = {"model": door.model, "prompt": "Once upon", "temperature": 0, "seed": 1, "max_tokens": 8}
        with sdk(door.url, door.key) as client:
            answer = client.completions.create(**question, **door.options, stream=streams)
            found = list(answer) if streams else [answer]
        return plain([chunk.model_dump() for chunk in found])

    straight, ours = doors["llama.cpp"]
    assert ask(ours) == ask(straight)


# -- more of the SDK -----------------------------------------------------------------------------------------------


@pytest.fixture
def ours(doors) -> Iterator[openai.OpenAI]:
    with sdk(doors["mock"][1].url) as client:
        yield client


def test_the_raw_response_has_its_headers(ours):
    raw = ours.chat.completions.with_raw_response.create(**asking("Say hello.", model="gpt-mock"))
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.headers["x-request-id"]
    answer = raw.parse()
    assert answer._request_id == raw.headers["x-request-id"]
    assert answer.choices[0].message.content.startswith("Hello! 你好!")


def test_the_raw_response_of_a_stream_has_its_headers(ours):
    raw = ours.chat.completions.with_raw_response.create(**asking("Say hello.", model="gpt-mock"), stream=True)
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.headers["x-request-id"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse()).startswith("Hello!")


def test_a_tool_is_called_and_its_result_answered(ours):
    question = asking("The weather in Paris and in Rome?", model="gpt-mock", tools=[WEATHER])
    message = ours.chat.completions.create(**question).choices[0].message
    assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls] == ["Paris", "Rome"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "12 °C"} for call in message.tool_calls]
    question["messages"] += [message.model_dump(exclude_none=True), *results]
    assert "Mild in Paris" in ours.chat.completions.create(**question).choices[0].message.content


class Verdict(BaseModel):
    answer: Literal["yes", "no"]


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_structured_output_is_parsed(doors, upstream):
    door = doors[upstream][1]
    question = {**door.question("structured"), "response_format": Verdict}
    with sdk(door.url) as client:
        parsed = client.chat.completions.parse(**question).choices[0].message.parsed
        with client.chat.completions.stream(**question) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == parsed
    assert parsed.answer in ("yes", "no")


def test_the_models_are_listed_and_found(doors):
    straight, door = doors["llama.cpp"]
    with sdk(door.url) as client:
        names = [model.id for model in client.models.list()]
        assert {straight.model, "gpt-mock", *WHOLE} == set(names)
        assert len(names) == len(set(names))
        assert client.models.retrieve("gpt-mock").id == "gpt-mock"
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt-none")
    assert caught.value.code == "model_not_found"
