"""The official `openai` package for Python where something goes wrong: errors, time-outs, leaving, asking again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import openai
import pytest

from tests.system.doors import asking
from tests.system.emulator import Emulator
from tests.system.server import Server
from tests.system.talk import held
from tests.system.test_sdk_python import sdk

pytestmark = pytest.mark.system


@pytest.fixture
def ours(doors) -> Iterator[openai.OpenAI]:
    with sdk(doors["mock"][1].url) as client:
        yield client


ERRORS = {
    "an unknown model": (asking("Hi", model="gpt-none"), "NotFoundError", "model_not_found"),
    "no messages": ({"messages": [], "model": "gpt-mock"}, "BadRequestError", "bad_field"),
    "a wrong type": (asking("Hi", model="gpt-mock", temperature="hot"), "BadRequestError", "bad_field"),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_the_sdk_s_own(ours, name, streams):
    question, kind, code = ERRORS[name]
    with pytest.raises(getattr(openai, kind)) as caught:
        ours.chat.completions.create(**question, stream=streams)
    assert (caught.value.code, caught.value.type) == (code, "invalid_request_error")
    assert caught.value.body["message"] in caught.value.message
    assert caught.value.request_id


@pytest.mark.parametrize("streams", [False, True])
def test_what_the_upstream_finds_wrong_is_not_asked_again(doors, streams):
    caught = []
    for door in doors["mock"]:
        with sdk(door.url, max_retries=2) as client, pytest.raises(openai.BadRequestError) as info:
            client.chat.completions.create(**asking("Refuse", model="gpt-mock"), stream=streams)
        caught.append(info.value)
    straight, ours = caught
    assert straight.body["message"].rstrip(".") in ours.body["message"]


@pytest.mark.parametrize("streams", [False, True])
def test_an_upstream_that_is_too_busy_says_when_to_come_back(ours, streams):
    with pytest.raises(openai.APIStatusError) as caught:
        ours.chat.completions.create(**asking("Hurry", model="gpt-mock"), stream=streams)
    assert caught.value.response.headers["retry-after"] == "60"
    assert "Slow down" in caught.value.body["message"]


@pytest.fixture(scope="module")
def emulated() -> Iterator[tuple[Emulator, Server]]:
    # The address of "gone" is the port discard, where nothing listens.
    gone = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["gone"]}
    with (
        Emulator() as upstream,
        Server(upstreams={"emulator": upstream.table, "gone": gone}, heartbeat=0.2) as server,
    ):
        yield upstream, server


@pytest.mark.parametrize("streams", [False, True])
def test_an_upstream_that_is_gone_is_a_502(emulated, streams):
    with sdk(f"{emulated[1].url}/v1") as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**asking("Hi", model="gone"), stream=streams)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_refused")


def test_a_stream_that_breaks_raises_in_the_middle(emulated):
    upstream, server = emulated
    upstream.cut_after = 5
    texts = []
    try:
        with sdk(f"{server.url}/v1") as client, pytest.raises(openai.APIError) as caught:
            for chunk in client.chat.completions.create(**asking("Hi", model="emulated"), stream=True):
                texts.append(chunk.choices[0].delta.content)
    finally:
        upstream.cut_after = None
    assert texts == upstream.tokens[:5]
    assert caught.value.code == "upstream_broke"


def test_a_whole_answer_that_breaks_is_a_502(emulated):
    upstream, server = emulated
    upstream.cut_after = 5
    try:
        with sdk(f"{server.url}/v1") as client, pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**asking("Hi", model="emulated"))
    finally:
        upstream.cut_after = None
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_broke")


# -- leaving -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["headers", "first token", "mid-answer"])
def test_a_client_s_time_out_ends_the_upstream_s_work(emulated, phase):
    upstream, _ = emulated
    asked, left = len(upstream.asked), upstream.left
    with (
        Server(upstreams={"emulator": upstream.table}) as server,  # whose heartbeats come later than the time-out
        held(upstream, phase),
        sdk(f"{server.url}/v1", timeout=0.5, max_retries=2) as client,
    ):
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**asking("Hi", model="emulated"))
        assert upstream.wait(lambda: upstream.left - left == len(upstream.asked) - asked > 0)


def test_a_stream_closed_in_the_middle_ends_the_upstream_s_work(emulated):
    upstream, server = emulated
    left = upstream.left
    with held(upstream, "mid-answer"), sdk(f"{server.url}/v1") as client:
        with client.chat.completions.create(**asking("Hi", model="emulated"), stream=True) as stream:
            assert next(stream).choices[0].delta.content == upstream.tokens[0]
        assert upstream.wait(lambda: upstream.left == left + 1)


def test_an_asynchronous_task_cancelled_in_the_middle_ends_the_upstream_s_work(emulated):
    upstream, server = emulated
    left = upstream.left

    async def ask() -> None:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-ours", http_client=http) as client:
            async for _ in await client.chat.completions.create(**asking("Hi", model="emulated"), stream=True):
                asyncio.current_task().cancel()

    with held(upstream, "mid-answer"):
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask())
        assert upstream.wait(lambda: upstream.left == left + 1)


# -- asking twice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_the_same_key_replays_the_answer_and_asks_once(emulated, streams):
    upstream, server = emulated
    asked = len(upstream.asked)
    question = asking("Hi", model="emulated", extra_headers={"Idempotency-Key": f"key-{streams}"})
    with sdk(f"{server.url}/v1") as client:
        answers = []
        for _ in range(2):
            answer = client.chat.completions.create(**question, stream=streams)
            found = list(answer) if streams else [answer]
            answers.append([part.model_dump(exclude_unset=True) for part in found])
    assert answers[0] == answers[1]
    assert len(upstream.asked) == asked + 1


def test_a_key_used_for_another_question_is_refused(emulated):
    key = {"Idempotency-Key": "key-of-one-question"}
    with sdk(f"{emulated[1].url}/v1") as client:
        client.chat.completions.create(**asking("One", model="emulated"), extra_headers=key)
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client.chat.completions.create(**asking("Another", model="emulated"), extra_headers=key)
    assert caught.value.code == "idempotency_key_reused"


def test_the_sdk_s_own_retry_with_a_key_gets_the_answer_that_its_time_out_lost(emulated):
    upstream, server = emulated
    asked = len(upstream.asked)
    question = asking("Hi", model="emulated", extra_headers={"Idempotency-Key": "key-of-the-lost"})
    with held(upstream, "mid-answer"):
        threading.Timer(1, lambda: upstream.gate.set()).start()
        with sdk(f"{server.url}/v1", timeout=0.3, max_retries=20) as client:
            answer = client.chat.completions.create(**question)
    assert answer.choices[0].message.content == upstream.text
    assert len(upstream.asked) == asked + 1
