"""OpenAI's API with access keys: its own clients meet our keys, limits, ledger and metrics as they would OpenAI's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import openai
import pytest

from millstream.access.keyring import digest
from tests.system.clients import until
from tests.system.doors import Door, asking
from tests.system.emulator import Emulator
from tests.system.program import Program
from tests.system.server import Server
from tests.system.test_sdk_llm import llm
from tests.system.test_sdk_node import node
from tests.system.test_sdk_python import sdk

pytestmark = pytest.mark.system

KEYS = {
    "team": {"sha256": digest("ms-team")},
    "busy": {"sha256": digest("ms-busy"), "requests_per_minute": 2},
    "full": {"sha256": digest("ms-full"), "streams": 1},
    "narrow": {"sha256": digest("ms-narrow"), "models": ["demo"]},
    "chief": {"sha256": digest("ms-chief"), "operator": True},
}
HI = asking("Hi", model="emulated")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator([f"word{n} " for n in range(9)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Emulator) -> Iterator[Server]:
    demo = {"kind": "demo", "models": ["demo"]}
    with Server({"emulated": upstream.table, "demo": demo}, keys=KEYS, workers=2) as server:
        yield server


def test_a_key_is_the_api_key(server: Server, upstream: Emulator) -> None:
    with sdk(f"{server.url}/v1", key="ms-team") as client:
        chunks = list(client.chat.completions.create(**HI, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == upstream.text
        assert client.chat.completions.create(**HI).choices[0].message.content == upstream.text
        assert {model.id for model in client.models.list()} == {"emulated", "demo"}


@pytest.mark.parametrize("streams", [False, True])
def test_another_key_is_an_authentication_error(server: Server, upstream: Emulator, streams: bool) -> None:
    asked = len(upstream.asked)
    with sdk(f"{server.url}/v1", key="ms-nobody") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**HI, stream=streams)
    assert (caught.value.code, caught.value.type) == ("invalid_key", "authentication_error")
    assert len(upstream.asked) == asked


def test_a_model_that_is_not_the_key_s_is_a_permission_error(server: Server) -> None:
    with sdk(f"{server.url}/v1", key="ms-narrow") as client:
        assert [model.id for model in client.models.list()] == ["demo"]
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(**HI)
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")


def test_a_used_up_limit_is_a_rate_limit_error_with_openai_s_headers(server: Server) -> None:
    with sdk(f"{server.url}/v1", key="ms-busy") as client:
        left = []
        for _ in range(2):
            raw = client.chat.completions.with_raw_response.create(**HI)
            assert raw.headers["x-ratelimit-limit-requests"] == "2"
            left.append(raw.headers["x-ratelimit-remaining-requests"])
        assert left == ["1", "0"]
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**HI, stream=True)
    headers = caught.value.response.headers
    assert (caught.value.code, headers["x-ratelimit-remaining-requests"]) == ("requests", "0")
    assert 0 < int(headers["retry-after"]) <= 60
    assert re.fullmatch(r"[0-9hms.]+", headers["x-ratelimit-reset-requests"])


def test_one_answer_at_a_time_where_a_key_may_have_one(server: Server) -> None:
    with sdk(f"{server.url}/v1", key="ms-full") as client:
        running = client.chat.completions.create(**asking("Hi", model="demo?pace=2"), stream=True)
        next(iter(running))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**HI)
        assert caught.value.code == "streams"
        running.close()  # who leaves gives the place back
        until(lambda: _is_answered(client))


def _is_answered(client: openai.OpenAI) -> bool:
    try:
        client.chat.completions.create(**HI)
    except openai.RateLimitError:
        return False
    return True


def test_node_and_llm_say_what_is_wrong_with_a_key(server: Server, node_sdk: Program, llm_program: Program) -> None:
    door = Door(f"{server.url}/v1", "ms-nobody", "emulated")
    assert node(node_sdk, door, "stream", HI)[0]["status"] == 401
    with pytest.raises(AssertionError, match="This access key is not valid"):
        llm(llm_program, door, "Hi")
    assert "word8" in llm(llm_program, door._replace(key="ms-team"), "Hi")


def test_the_ledger_and_the_metrics_count_it_by_key(server: Server) -> None:
    with sdk(f"{server.url}/v1", key="ms-chief") as client:
        client.chat.completions.create(**HI)
        running = client.chat.completions.create(**asking("Hi", model="demo?pace=5"), stream=True)
        next(iter(running))
        running.close()
    chief = {"Authorization": "Bearer ms-chief"}

    def answers() -> int:
        return json.loads(server.get("/usage?format=json", **chief)[1])["total"]["answers"]

    until(lambda: answers() == 2)
    total = json.loads(server.get("/usage?format=json", **chief)[1])["total"]
    assert total["output"] >= 9
    status, text = server.get("/metrics", **chief)
    assert status == 200
    assert re.search(r'^millstream_tokens_total\{.*key="chief".*model="emulated".*\} [0-9.]+$', text.decode(), re.M)
    assert server.get("/metrics", Authorization="Bearer ms-team")[0] == 403
