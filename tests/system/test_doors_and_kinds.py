"""Each door over each kind of upstream: texts, tools, pictures, ends, failures, and the refusal of what a kind can't.

Behind most kinds stands another Millstream, whose doors are those upstreams; Azure and Spark have fakes of their own,
and the local model is the real one."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.system.clients import DEADLINE
from tests.system.obedient import WORDS, Obedient
from tests.system.server import Server
from tests.upstreams.spark_server import SparkServer, answer, error, frame, obey

pytestmark = pytest.mark.system

Object = dict[str, Any]
KINDS = {"openai": "/v1", "anthropic": "", "responses": "/v1", "ollama": "", "azure": ""}  # these can do everything
TEXTS = {**KINDS, "completions": "/v1"}
WHAT = ("plain", "thinks", "short", "errs", "busy")
SPARK = {"plain": "4.0Ultra", "errs": "max-32k", "busy": "generalv3.5", "short": "lite"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
HI: Object = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw=="


@pytest.fixture(scope="module")
def upstream() -> Iterator[Obedient]:
    with Obedient() as upstream:
        yield upstream


def reply(question: Object) -> list[str]:
    """What Spark says, by the model that is asked."""
    others = {
        SPARK["errs"]: [frame("Suddenly ", 0), error(10012)],
        SPARK["busy"]: [error(11202)],
        SPARK["short"]: answer("Suddenly ", usage=(5, question["parameter"]["chat"].get("max_tokens", 0))),
    }
    if "functions" in question["payload"] or "gave: " in question["payload"]["message"]["text"][-1]["content"]:
        return list(obey(question))
    return others.get(question["parameter"]["chat"]["domain"]) or answer(*(f"{word} " for word in WORDS))


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkServer]:
    spark = SparkServer(reply)
    yield spark
    spark.close()


@pytest.fixture(scope="module")
def server(upstream: Obedient, spark: SparkServer) -> Iterator[Server]:
    models = {kind: [f"{what}-{kind}" for what in WHAT] for kind in TEXTS}
    # Its door for completions asks for chats.
    table = {**upstream.table, "models": [*chain.from_iterable(models.values())], "completions": False}
    with Server({"up": table}) as behind:
        urls = {kind: behind.url + path for kind, path in TEXTS.items()} | {"azure": upstream.url.removesuffix("/v1")}
        ours: dict[str, Object] = {
            kind: {"kind": kind, "base_url": url, "models": models[kind], "retries": 0} for kind, url in urls.items()
        }
        ours["spark"] = {**spark.table, "models": [*SPARK.values()], "retries": 0}
        ours["local"] = {"kind": "local", "models": ["short-local"]}
        with Server(ours) as server:
            yield server


def model(what: str, kind: str) -> str:
    return SPARK[what] if kind == "spark" else f"{what}-{kind}"


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


def ui(server: Server, model: str) -> tuple[Object, str]:
    turn = {"role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    body = {"model": model, "messages": [turn], "tools": [{"name": "weather", "parameters": SCHEMA}]}
    (call,) = (chunk for chunk in chunks(server, body) if chunk["type"] == "tool-input-available")
    done = {"state": "output-available", "toolCallId": call["toolCallId"], "input": call["input"], "output": "22"}
    answered = {"role": "assistant", "parts": [{"type": "step-start"}, {"type": "tool-weather", **done}]}
    last = chunks(server, body | {"messages": [turn, answered]})
    return call["input"], "".join(chunk["delta"] for chunk in last if chunk["type"] == "text-delta")


def chunks(server: Server, body: Object) -> list[Object]:
    status, answer = said(server, "/ui/chat", body)
    assert status == 200, answer
    return [json.loads(data) for data in re.findall(rb"^data: (\{.*)$", answer, re.MULTILINE)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", [chat, messages, responses, ollama, ui])
def test_a_tool_is_called_and_its_result_sent_back(server, upstream, door, kind):
    before = len(upstream.asked)
    arguments, text = door(server, f"thinks-{kind}")
    assert (arguments, text) == ({"city": "Paris"}, "It says 22")
    first, last = upstream.asked[before:]
    (tool,) = first["tools"]
    assert {**tool["function"], "strict": False} == {**FUNCTION["function"], "strict": False}
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "tool"]
    assert last["messages"][1]["tool_calls"][0]["id"] == last["messages"][2]["tool_call_id"]


@pytest.mark.parametrize("door", [chat, messages, responses, ollama, ui])
def test_spark_calls_a_function_and_hears_its_result(server, spark, door):
    assert door(server, SPARK["plain"]) == ({"city": "Paris"}, "It says 22")
    assert "weather gave: 22" in spark.questions[-1]["payload"]["message"]["text"][-1]["content"]


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
    "/ui/chat": {"messages": [{"role": "user", "parts": [{"type": "file", "mediaType": "image/png", "url": PNG}]}]},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", SEEN)
def test_a_picture_arrives(server, upstream, path, kind):
    assert said(server, path, SEEN[path] | {"model": f"thinks-{kind}"})[0] == 200
    assert PNG in json.dumps(upstream.asked[-1]["messages"])


ASKS: dict[str, Object] = {
    "/v1/chat/completions": {"messages": [HI], "max_tokens": 4},
    "/v1/messages": {"messages": [HI], "max_tokens": 4},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 4},
    "/api/chat": {"messages": [HI], "options": {"num_predict": 4}},
    "/ui/chat": {"messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}], "max_tokens": 4},
}
# Where the text stands: streamed, whole.
TEXT = {
    "/v1/chat/completions": ("content", "content"),
    "/v1/messages": ("text", "text"),
    "/v1/responses": ("delta", "text"),
    "/api/chat": ("content", "content"),
    "/ui/chat": ("delta", "delta"),
}
SHORT = {
    "/v1/chat/completions": '"finish_reason":"length"',
    "/v1/messages": '"stop_reason":"max_tokens"',
    "/v1/responses": '"reason":"max_output_tokens"',
    "/api/chat": '"done_reason":"length"',
    "/ui/chat": '"finishReason":"length"',
}
CLEAN = {
    "/v1/chat/completions": b"[DONE]",
    "/v1/messages": b"message_stop",
    "/v1/responses": b"response.completed",
    "/api/chat": b'"done":true',
    "/ui/chat": b'"finish"',
}


@pytest.mark.parametrize("kind", [*TEXTS, "spark"])
@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [True, False])
def test_the_text_arrives(server, path, kind, stream):
    status, answer = said(server, path, ASKS[path] | {"model": model("plain", kind), "stream": stream})
    text = re.findall(rf'"{TEXT[path][not stream]}": ?"([^"]*)"', answer.decode())
    assert (status, "".join(text)) == (200, "".join(f"{word} " for word in WORDS)), answer


@pytest.mark.parametrize("kind", [*TEXTS, "local", "spark"])
@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_was_too_long_says_so(server, path, kind, stream):
    status, answer = said(server, path, ASKS[path] | {"model": model("short", kind), "stream": stream})
    assert (status, SHORT[path] in answer.decode().replace(": ", ":")) == (200, True), answer
    assert re.search(rf'"{TEXT[path][not stream]}": ?"\w', answer.decode()), answer


@pytest.mark.parametrize("kind", [*TEXTS, "spark"])
@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_the_first_byte_is_a_status(server, path, kind, stream):
    status, answer = said(server, path, ASKS[path] | {"model": model("busy", kind), "stream": stream})
    assert (status, b"error" in answer or path == "/ui/chat") == (429, True), answer


@pytest.mark.parametrize("kind", [*TEXTS, "spark"])
@pytest.mark.parametrize("path", ASKS)
def test_a_failure_in_mid_answer_is_no_clean_end(server, path, kind):
    body = ASKS[path] | {"model": model("errs", kind)}
    status, answer = said(server, path, body | {"stream": True})
    assert status == 200
    assert b"error" in answer and CLEAN[path] not in answer, answer
    if path != "/ui/chat":  # it streams always
        status, answer = said(server, path, body | {"stream": False})
        assert (status, b"error" in answer) == (502, True)


TOOLS: dict[str, Object] = {
    "/v1/chat/completions": {"tools": [FUNCTION]},
    "/v1/messages": {"tools": [{"name": "weather", "input_schema": SCHEMA}]},
    "/v1/responses": {"tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}]},
    "/api/chat": {"tools": [FUNCTION]},
    "/ui/chat": {"tools": [{"name": "weather", "parameters": SCHEMA}]},
}
TALK = dict.fromkeys(ASKS, "messages") | {"/v1/responses": "input"}
# kind, what it can't, the field's name at each door
CANT: list[tuple[str, dict[str, Object], dict[str, str]]] = [
    ("plain-completions", TOOLS, dict.fromkeys(ASKS, "tools")),
    ("plain-completions", SEEN, TALK),
    (SPARK["errs"], TOOLS, dict.fromkeys(ASKS, "tools")),  # one without functions
    (SPARK["plain"], SEEN, TALK),
    ("short-local", SEEN, TALK),
]


@pytest.mark.parametrize(("name", "more", "fields"), CANT)
@pytest.mark.parametrize("path", ASKS)
def test_what_a_kind_cant_do_is_refused_by_its_name(server, upstream, spark, path, name, more, fields):
    before = len(upstream.asked), len(spark.questions)
    status, answer = said(server, path, ASKS[path] | more[path] | {"model": name})
    assert (status, f"{fields[path]} asks for something" in answer.decode()) == (400, True), answer
    assert (len(upstream.asked), len(spark.questions)) == before
