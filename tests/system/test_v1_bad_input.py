"""What OpenAI's API refuses: each time a 4xx in its shape that names the field, and nobody upstream is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.system.emulator import Emulator
from tests.system.server import Server
from tests.system.test_sdk_python import sdk

pytestmark = pytest.mark.system

CHAT, LEGACY = "/v1/chat/completions", "/v1/completions"
QUESTION = {"model": "emulated", "messages": [{"role": "user", "content": "Hi"}]}
PROMPT = {"model": "emulated", "prompt": "Hi"}

TEXT, NUMBER, LIST, OBJECT, TRUE = "hot", 7.5, [[]], {"a": 1}, True
COMMON = {
    "model": [NUMBER, LIST, OBJECT, TRUE],
    "stream": [TEXT, NUMBER, LIST, OBJECT],
    "stream_options": [TEXT, NUMBER, LIST, TRUE, {"include_usage": TEXT}],
    "temperature": [TEXT, LIST, OBJECT],
    "top_p": [TEXT, LIST, OBJECT],
    "n": [TEXT, NUMBER, LIST, OBJECT],
    "max_tokens": [TEXT, NUMBER, LIST, OBJECT],
    "stop": [NUMBER, LIST, OBJECT, [1]],
    "presence_penalty": [TEXT, LIST, OBJECT],
    "frequency_penalty": [TEXT, LIST, OBJECT],
    "logit_bias": [TEXT, NUMBER, LIST, {"50256": TEXT}],
    "seed": [TEXT, NUMBER, LIST, OBJECT],
    "user": [NUMBER, LIST, OBJECT],
}
FIELDS: dict[str, dict[str, list[Any]]] = {
    CHAT: COMMON
    | {
        "messages": [TEXT, NUMBER, OBJECT, TRUE, [TEXT], [NUMBER], [None]],
        "max_completion_tokens": [TEXT, NUMBER, LIST, OBJECT],
        "logprobs": [TEXT, NUMBER, LIST, OBJECT],
        "top_logprobs": [TEXT, NUMBER, LIST, OBJECT],
        "response_format": [TEXT, NUMBER, LIST, {}, {"type": NUMBER}],
        "tools": [TEXT, NUMBER, OBJECT, [TEXT], [{}]],
        "tool_choice": [NUMBER, LIST, TRUE],
        "parallel_tool_calls": [TEXT, NUMBER, LIST, OBJECT],
        "functions": [TEXT, NUMBER, OBJECT, [TEXT], [{"name": NUMBER}]],
        "function_call": [NUMBER, LIST, TRUE],
        "reasoning_effort": [NUMBER, LIST, OBJECT],
        "verbosity": [NUMBER, LIST, OBJECT],
        "modalities": [TEXT, NUMBER, LIST, OBJECT],
        "audio": [TEXT, NUMBER, LIST],
        "prediction": [TEXT, NUMBER, LIST],
        "web_search_options": [TEXT, NUMBER, LIST],
        "metadata": [TEXT, NUMBER, LIST],
        "store": [TEXT, NUMBER, LIST, OBJECT],
        "service_tier": [NUMBER, LIST, OBJECT],
        "safety_identifier": [NUMBER, LIST, OBJECT],
        "prompt_cache_key": [NUMBER, LIST, OBJECT],
    },
    LEGACY: COMMON
    | {
        "prompt": [NUMBER, OBJECT, TRUE, [TRUE], [OBJECT]],
        "suffix": [NUMBER, LIST, OBJECT],
        "echo": [TEXT, NUMBER, LIST, OBJECT],
        "best_of": [TEXT, NUMBER, LIST, OBJECT],
        "logprobs": [TEXT, NUMBER, LIST, TRUE],
    },
}
WRONG = [(path, name, value) for path, fields in FIELDS.items() for name in fields for value in fields[name]]


def says(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi", **fields}]}


def part(**fields: Any) -> dict[str, Any]:
    return says(content=[{"type": "text", "text": "What is this?"}, fields])


def image(url: Any) -> dict[str, Any]:
    return part(type="image_url", image_url=url)


MESSAGES = {
    "no messages": ({"messages": []}, "messages"),
    "null messages": ({"messages": None}, "messages"),
    "no role": ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
    "a role that is a number": (says(role=5), "messages[0].role"),
    "content that is a number": (says(content=5), "messages[0].content"),
    "a part without a type": (says(content=[{"text": "Hi"}]), "messages[0].content[0].type"),
    "a part that is a text": (says(content=["Hi"]), "messages[0].content[0]"),
    "text that is a number": (part(type="text", text=5), "messages[0].content[1].text"),
    "an image without an address": (image({}), "messages[0].content[1].image_url.url"),
    "an address that is a number": (image({"url": 5}), "messages[0].content[1].image_url.url"),
    "base64 that is none": (image({"url": "data:image/png;base64,!!!"}), "messages[0].content[1].image_url.url"),
    "base64 cut off": (image({"url": "data:image/png;base64,iVBOR"}), "messages[0].content[1].image_url.url"),
    "sound that is no base64": (
        part(type="input_audio", input_audio={"data": "~~~~", "format": "wav"}),
        "messages[0].content[1].input_audio.data",
    ),
    "tool calls that are none": (says(role="assistant", tool_calls=["x"]), "messages[0].tool_calls[0]"),
}


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Emulator, Server]]:
    with Emulator() as upstream, Server(upstreams={"emulator": upstream.table}) as server:
        yield upstream, server


def refused(front: tuple[Emulator, Server], path: str, body: bytes, status: int = 400) -> dict[str, Any]:
    """The error, whose shape and status it checks; nobody was asked for it."""
    upstream, server = front
    asked = len(upstream.asked)
    connection = server.connect()
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        assert (response.status, answer[:200] if response.status == 200 else b"") == (status, b"")
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.headers["x-request-id"]
    finally:
        connection.close()
    error = json.loads(answer)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["type"] == "invalid_request_error"
    assert isinstance(error["message"], str)
    assert len(upstream.asked) == asked
    return error


@pytest.mark.parametrize(("path", "field", "value"), WRONG)
def test_a_field_of_a_wrong_type_is_named(front, path, field, value):
    question = (QUESTION if path == CHAT else PROMPT) | {field: value}
    error = refused(front, path, json.dumps(question).encode())
    assert error["param"].startswith(field)
    assert field in error["message"]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_a_wrong_shape_is_named(front, name):
    fields, param = MESSAGES[name]
    error = refused(front, CHAT, json.dumps(QUESTION | fields).encode())
    assert error["param"] == param
    assert param in error["message"]


@pytest.mark.parametrize("prompt", [None, []])
def test_a_prompt_with_nothing_in_it_is_refused(front, prompt):
    assert refused(front, LEGACY, json.dumps(PROMPT | {"prompt": prompt}).encode())["param"] == "prompt"


NESTED = [b"[" * 100_000, b'{"messages": [' * 9999]
NO_JSON = [b"", b"{", b"null", b"[]", b'"text"', b"5", b"prompt=Hi", b"\xff\xfe", *NESTED]


@pytest.mark.parametrize("path", [CHAT, LEGACY])
@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_a_body_that_is_no_object_is_refused(front, path, body):
    assert refused(front, path, body)["code"] == "bad_json"


@pytest.mark.parametrize("path", [CHAT, LEGACY])
@pytest.mark.parametrize("streams", [False, True])
def test_an_unknown_model_is_not_found(front, path, streams):
    question = {**QUESTION, **PROMPT, "model": "gpt-none", "stream": streams}
    if path == LEGACY:
        del question["messages"]
    error = refused(front, path, json.dumps(question).encode(), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "gpt-none" in error["message"]


def test_a_body_beyond_20_mib_is_too_large(front):
    body = json.dumps(says(content="a" * 20 * 2**20)).encode()
    assert refused(front, CHAT, body, 413)["code"] == "body_too_large"


@pytest.mark.parametrize("letters", ["a" * 2**20, "你" * 2**19, '"\\\n' * 2**18])
def test_a_prompt_of_a_megabyte_arrives_whole(front, letters):
    upstream, server = front
    connection = server.connect()
    try:
        connection.request("POST", CHAT, json.dumps({"model": "emulated", **says(content=letters)}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
    finally:
        connection.close()
    assert upstream.asked[-1]["messages"][0]["content"] == letters


def test_a_prompt_of_a_megabyte_that_the_model_has_no_room_for_is_refused(doors):
    _, door = doors["llama.cpp"]
    with sdk(door.url) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=door.model, **says(content="river " * 2**18))
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused_in_the_same_shape(front, method):
    connection = front[1].connect()
    try:
        connection.request(method, CHAT)
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
    finally:
        connection.close()
    assert (response.status, error["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/v1/none", "/v1/threads", "/v1/chat"])
def test_what_is_not_there_is_said_in_the_same_shape(front, path):
    connection = front[1].connect()
    try:
        connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
    finally:
        connection.close()
    assert (response.status, error["code"]) == (404, "not_found")
