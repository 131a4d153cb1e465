"""Each door over each kind of upstream that speaks HTTP: a tool is called, and its result sent back. Behind it stands
another Millstream, whose doors are those upstreams."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.system.clients import DEADLINE
from tests.system.obedient import Obedient
from tests.system.server import Server

pytestmark = pytest.mark.system

Object = dict[str, Any]
KINDS = {"openai": "/v1", "anthropic": "", "responses": "/v1", "ollama": ""}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
HI: Object = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw=="


@pytest.fixture(scope="module")
def upstream() -> Iterator[Obedient]:
    with Obedient() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: Obedient) -> Iterator[Server]:
    models = {kind: [f"{what}-{kind}" for what in ("thinks", "short", "errs")] for kind in KINDS}
    with Server({"up": {**upstream.table, "models": [*chain.from_iterable(models.values())]}}) as behind:
        ours = {
            kind: {"kind": kind, "base_url": behind.url + path, "models": models[kind], "retries": 0}
            for kind, path in KINDS.items()
        }
        with Server(ours) as server:
            yield server


def said(server: Server, path: str, body: Object) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    try:
        return response.status, response.read()
    except http.client.IncompleteRead as cut:
        return response.status, cut.partial
    finally:
        connection.close()


def ask(server: Server, path: str, body: Object) -> Object:
    status, answer = said(server, path, body)
    assert status == 200, answer
    return dict(json.loads(answer))


def chat(server: Server, model: str) -> tuple[Object, str]:
    body = {"model": model, "messages": [HI], "tools": [FUNCTION]}
    message = ask(server, "/v1/chat/completions", body)["choices"][0]["message"]
    (call,) = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "22"}
    last = ask(server, "/v1/chat/completions", body | {"messages": [HI, message, result]})
    return json.loads(call["function"]["arguments"]), last["choices"][0]["message"]["content"]


def messages(server: Server, model: str) -> tuple[Object, str]:
    tool = {"name": "weather", "input_schema": SCHEMA}
    body = {"model": model, "max_tokens": 99, "messages": [HI], "tools": [tool]}
    content = ask(server, "/v1/messages", body)["content"]
    (call,) = (block for block in content if block["type"] == "tool_use")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "22"}]}
    last = ask(server, "/v1/messages", body | {"messages": [HI, {"role": "assistant", "content": content}, result]})
    return call["input"], "".join(block["text"] for block in last["content"] if block["type"] == "text")


def responses(server: Server, model: str) -> tuple[Object, str]:
    tool = {"type": "function", "name": "weather", "parameters": SCHEMA}
    body = {"model": model, "input": [HI], "tools": [tool], "store": True}
    first = ask(server, "/v1/responses", body)
    (call,) = (item for item in first["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "22"}
    last = ask(server, "/v1/responses", body | {"input": [result], "previous_response_id": first["id"]})
    return json.loads(call["arguments"]), last["output"][-1]["content"][0]["text"]


def ollama(server: Server, model: str) -> tuple[Object, str]:
    body = {"model": model, "messages": [HI], "tools": [FUNCTION], "stream": False}
    message = ask(server, "/api/chat", body)["message"]
    (call,) = message["tool_calls"]
    result = {"role": "tool", "tool_name": "weather", "content": "22"}
    last = ask(server, "/api/chat", body | {"messages": [HI, message, result]})
    return call["function"]["arguments"], last["message"]["content"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", [chat, messages, responses, ollama])
def test_a_tool_is_called_and_its_result_sent_back(server, upstream, door, kind):
    before = len(upstream.asked)
    arguments, text = door(server, f"thinks-{kind}")
    assert (arguments, text) == ({"city": "Paris"}, "It says 22")
    first, last = upstream.asked[before:]
    (tool,) = first["tools"]
    assert {**tool["function"], "strict": False} == {**FUNCTION["function"], "strict": False}
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "tool"]
    assert last["messages"][1]["tool_calls"][0]["id"] == last["messages"][2]["tool_call_id"]


SEEN = {
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]
    },
    "/v1/messages": {
        "max_tokens": 99,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]},
                    }
                ],
            }
        ],
    },
    "/v1/responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}]},
    "/api/chat": {"messages": [{"role": "user", "content": "", "images": [PNG.partition(",")[2]]}], "stream": False},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", SEEN)
def test_a_picture_arrives(server, upstream, path, kind):
    ask(server, path, SEEN[path] | {"model": f"thinks-{kind}"})
    assert PNG in json.dumps(upstream.asked[-1]["messages"])


ASKS: dict[str, Object] = {
    "/v1/chat/completions": {"messages": [HI]},
    "/v1/messages": {"messages": [HI], "max_tokens": 99},
    "/v1/responses": {"input": "Hi"},
    "/api/chat": {"messages": [HI]},
}
SHORT = {
    "/v1/chat/completions": '"finish_reason":"length"',
    "/v1/messages": '"stop_reason":"max_tokens"',
    "/v1/responses": '"reason":"max_output_tokens"',
    "/api/chat": '"done_reason":"length"',
}
CLEAN = (b"[DONE]", b"message_stop", b"response.completed", b'"done":true')


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_was_too_long_says_so(server, path, kind, stream):
    status, answer = said(server, path, ASKS[path] | {"model": f"short-{kind}", "stream": stream})
    assert (status, SHORT[path] in answer.decode().replace(": ", ":")) == (200, True), answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ASKS)
def test_a_failure_in_mid_answer_is_no_clean_end(server, path, kind):
    body = ASKS[path] | {"model": f"errs-{kind}"}
    status, answer = said(server, path, body | {"stream": True})
    assert status == 200
    assert b"error" in answer and not any(word in answer for word in CLEAN), answer
    status, answer = said(server, path, body | {"stream": False})
    assert (status, b"error" in answer) == (502, True)
