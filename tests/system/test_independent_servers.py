"""Servers that others wrote answer through Millstream, complete and exact, or fail and say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.system import clients
from tests.system.clients import Client
from tests.system.independent import TEXT, Running, aimock, fakellm, llamacpp, stubllm
from tests.system.server import Server
from tests.system.talk import final

pytestmark = pytest.mark.system

HELLO = "Say hello."


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[dict[str, Running]]:
    folder = tmp_path_factory.mktemp("independent")
    with ExitStack() as stack:
        yield {
            command.__name__: stack.enter_context(Running(command, folder))
            for command in (fakellm, stubllm, aimock, llamacpp)
        }


@pytest.fixture(scope="module")
def server(running: dict[str, Running]) -> Iterator[Server]:
    url = {name: server.url for name, server in running.items()}
    chaos = {"kind": "openai", "base_url": f"{url['aimock']}/v1"}
    tables = {
        **{name: {"kind": "openai", "base_url": f"{url[name]}/v1", "models": [name]} for name in url},
        **{
            f"{name}-anthropic": {"kind": "anthropic", "base_url": url[name], "models": [f"{name}-anthropic"]}
            for name in url
        },
        "aimock-azure": {"kind": "azure", "base_url": url["aimock"], "models": ["aimock-azure"]},
        "chaos": {**chaos, "models": ["chaos"], "retries": 0},
        "saved": {**chaos, "models": ["saved"], "fallback": ["stubllm"]},
    }
    with Server(tables) as server:
        yield server


def ask(server: Server, format: type[Client], model: str) -> Client:
    return format(server.port, HELLO, model).run()


DOORS = ["fakellm", "stubllm", "aimock", "aimock-azure", "fakellm-anthropic", "aimock-anthropic"]


@pytest.mark.parametrize("format", [clients.Sse, clients.Text])
@pytest.mark.parametrize("model", DOORS)
def test_an_answer_is_complete_and_exact(server, model, format):
    client = ask(server, format, model)
    assert (client.text, client.failure) == (TEXT, "")
    done = final(server, client.id)
    assert (done["type"], done["finish_reason"], done["upstream"]) == ("done", "stop", model)
    assert done["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("format", [clients.Sse, clients.Text])
def test_a_real_model_says_the_same_at_both_its_doors(server, format):
    """llama.cpp speaks OpenAI's API and Anthropic's; it has no chance at temperature 0."""
    said = []
    for model in ("llamacpp", "llamacpp-anthropic"):
        client = format(server.port, "Name three colours.", model)
        client.question |= {"temperature": 0, "max_tokens": 8}
        client.run()
        said.append((client.text, client.failure, final(server, client.id)["usage"]["source"]))
    assert said[0] == said[1]
    assert "Red" in said[0][0]
    assert said[0][1:] == ("", "upstream")


@pytest.fixture
def chaos(running):
    """Tells aimock what to break, until the test ends."""
    yield running["aimock"].chaos
    running["aimock"].chaos()


BROKEN = {
    "rateLimitRate": "upstream_limited",
    "dropRate": "upstream_refused",
    "malformedRate": "upstream_broke",  # half of a JSON document
    "disconnectRate": "upstream_broke",
}


@pytest.mark.parametrize(("fault", "code"), BROKEN.items())
def test_chaos_has_a_code(server, chaos, fault, code):
    chaos(**{fault: 1})
    status, headers, body = post(server, "chaos")
    assert (status, json.loads(body)["error"]["code"]) == (429 if code == "upstream_limited" else 502, code)
    assert headers.get("Retry-After") == ("1" if fault == "rateLimitRate" else None)


def post(server: Server, model: str):
    connection = server.connect()
    question = json.dumps({"prompt": HELLO, "model": model})
    connection.request("POST", "/chat?format=json", question, {"Content-Type": "application/json"})
    response = connection.getresponse()
    found = response.status, response.headers, response.read()
    connection.close()
    return found


def test_a_limited_upstream_is_replaced(server, chaos):
    chaos(rateLimitRate=1)
    client = ask(server, clients.Sse, "saved")
    assert (client.text, final(server, client.id)["upstream"]) == (TEXT, "stubllm")


def test_in_all_chaos_an_answer_is_whole_or_a_failure(server, chaos):
    chaos(**dict.fromkeys(BROKEN, 0.2))
    ends = set()
    for _ in range(40):
        status, _, body = post(server, "chaos")
        answer = json.loads(body)
        whole = status == 200 and answer["text"] == TEXT
        assert whole or answer["error"]["code"] in BROKEN.values()
        ends.add(status)
    assert ends == {200, 429, 502}
