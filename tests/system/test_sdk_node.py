"""The official `openai` package for Node, unchanged, with Millstream's address: as straight to the upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.doors import QUESTIONS, WEATHER, Door, asking, plain
from tests.system.emulator import Emulator
from tests.system.mock_openai import WHOLE
from tests.system.program import Program
from tests.system.server import Server
from tests.system.talk import held

pytestmark = pytest.mark.system

UPSTREAMS = ["llama.cpp", "mock"]


def node(program: Program, door: Door, what: str, question: dict[str, Any] | None = None) -> list[Any]:
    """What tests/node/sdk.js prints."""
    body = dict(question or {})
    body |= body.pop("extra_body", {})
    return program.ask(door.url, door.key, what, body)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream_is_the_same_chunk_by_chunk(node_sdk, doors, upstream, name):
    straight, ours = (node(node_sdk, door, "stream", door.question(name)) for door in doors[upstream])
    assert plain(ours) == plain(straight)
    assert len(ours) > 2


@pytest.mark.parametrize("model", WHOLE)
def test_a_recorded_stream_is_the_same_chunk_by_chunk(node_sdk, doors, model):
    question = asking("Hi", model=model, stream_options={"include_usage": True})
    straight, ours = (node(node_sdk, door, "stream", question) for door in doors["recorded"])
    assert ours == straight
    assert "raised" not in ours[-1]


@pytest.mark.parametrize(("upstream", "name"), [("llama.cpp", "text"), ("mock", "text"), ("mock", "tools")])
@pytest.mark.parametrize("what", ["helper", "whole"])
def test_a_whole_answer_is_the_same(node_sdk, doors, what, upstream, name):
    straight, ours = (node(node_sdk, door, what, door.question(name))[0]["choices"] for door in doors[upstream])
    for choice in (*straight, *ours):  # null or left out: the same to a program
        choice["message"].pop("refusal", None)
        choice.pop("logprobs", None)
    assert ours == straight
    assert ours[0]["message"]["content"]


def test_the_legacy_api_gives_the_same(node_sdk, doors):
    def ask(door: Door) -> list[Any]:
        question = {"model": door.model, "prompt": "Once upon", "temperature": 0, "seed": 1, "max_tokens": 8}
        return node(node_sdk, door, "legacy", question | door.options)

    straight, ours = (ask(door) for door in doors["llama.cpp"])
    assert plain(ours) == plain(straight)
    assert len(ours) > 2


def test_the_tool_runner_calls_and_goes_on(node_sdk, doors):
    question = asking("The weather in Paris and in Rome?", model="gpt-mock", tools=[WEATHER])
    (ran,) = node(node_sdk, doors["mock"][1], "tools", question)
    assert "Mild in Paris" in ran["final"]
    assert [message["content"] for message in ran["messages"] if message["role"] == "tool"] == [
        "12 °C in Paris",
        "12 °C in Rome",
    ]


def test_the_models_are_listed_and_found(node_sdk, doors):
    models = node(node_sdk, doors["mock"][1], "models")
    assert {"gpt-mock", *WHOLE} < {model["id"] for model in models}
    assert {model["object"] for model in models} == {"model"}


def test_the_response_has_its_headers(node_sdk, doors):
    (raw,) = node(node_sdk, doors["mock"][1], "raw", asking("Say hello.", model="gpt-mock"))
    assert raw["request_id"]
    assert (raw["status"], raw["type"], raw["object"]) == (200, "application/json", "chat.completion")


ERRORS = {
    "an unknown model": (asking("Hi", model="gpt-none"), "NotFoundError", 404, "model_not_found"),
    "no messages": ({"messages": [], "model": "gpt-mock"}, "BadRequestError", 400, "bad_field"),
    "a wrong type": (asking("Hi", model="gpt-mock", temperature="hot"), "BadRequestError", 400, "bad_field"),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("what", ["whole", "stream"])
def test_an_error_is_the_sdk_s_own(node_sdk, doors, what, name):
    question, *expected = ERRORS[name]
    (error,) = node(node_sdk, doors["mock"][1], what, question)
    assert [error["raised"], error["status"], error["code"]] == expected
    assert error["requestID"]


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[Emulator, Door]]:
    with Emulator() as upstream, Server(upstreams={"emulator": upstream.table}) as server:
        yield upstream, Door(f"{server.url}/v1", "sk-ours", "emulated")


def test_a_stream_that_breaks_raises_in_the_middle(node_sdk, emulated):
    upstream, door = emulated
    upstream.cut_after = 5
    try:
        *chunks, error = node(node_sdk, door, "stream", asking("Hi", model="emulated"))
    finally:
        upstream.cut_after = None
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == upstream.tokens[:5]
    assert (error["raised"], error["code"]) == ("APIError", "upstream_broke")


@pytest.mark.parametrize(("what", "last"), [("abort", "aborted"), ("timeout", "APIConnectionTimeoutError")])
def test_who_aborts_or_waits_no_longer_ends_the_upstream_s_work(node_sdk, emulated, what, last):
    upstream, door = emulated
    left = upstream.left
    with held(upstream, "mid-answer"):
        *_, end = node(node_sdk, door, what, asking("Hi", model="emulated"))
        assert upstream.wait(lambda: upstream.left == left + 1)
    assert (end if isinstance(end, str) else end["raised"]) == last


def test_the_same_key_replays_the_answer_and_asks_once(node_sdk, emulated):
    upstream, door = emulated
    asked = len(upstream.asked)
    first, second = node(node_sdk, door, "twice", asking("Hi", model="emulated"))
    assert first == second
    assert first["choices"][0]["message"]["content"] == upstream.text
    assert len(upstream.asked) == asked + 1
