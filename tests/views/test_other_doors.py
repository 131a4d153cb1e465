"""What Ollama's and useChat's doors have beside the question; models and tokens as Anthropic has them."""

from __future__ import annotations

import json

import pytest

from millstream.access.keyring import digest
from millstream.settings import KeySettings, UpstreamSettings
from tests.dialects.answers import sse
from tests.upstreams.fake import WAIT, Fake, whole
from tests.views.conftest import DEMO
from tests.views.keys import KEYS, with_key

ENDLESS = "demo?tokens=100000&pace=50"
HI = {"messages": [{"role": "user", "content": "Hi"}]}


def chat(**more):
    return {"id": "chat/1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}], **more}


def test_ollama_lists_its_models_and_answers_line_by_line(client):
    assert [one["model"] for one in client.get("/api/tags").json["models"]] == ["demo"]
    assert [one["name"] for one in client.get("/api/ps").json["models"]] == ["demo"]
    assert client.get("/api/version").json["version"]
    assert "tools" in client.post("/api/show", json={"model": "demo:latest"}).json["capabilities"]
    assert client.head("/api/tags").status_code == 200
    response = client.post("/api/chat", json=HI | {"model": "demo:latest"})
    lines = [json.loads(line) for line in response.data.splitlines()]
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


@pytest.mark.parametrize("path", ["/api/pull", "/api/embed", "/api"])
def test_what_ollama_has_and_we_have_not_is_404_with_a_sentence(client, path):
    response = client.post(path, json={"model": "demo"})
    assert response.status_code == 404
    assert isinstance(response.json["error"], str)
    unknown = client.post("/api/chat", json=HI | {"model": "x"})
    assert (unknown.status_code, "'x'" in unknown.json["error"]) == (404, True)


def test_a_chat_that_is_left_is_resumed_from_its_start_and_stopped(client):
    address = "/ui/chat/chat/1"
    assert client.get(f"{address}/stream").status_code == 204
    first = client.post("/ui/chat", json=chat(model=ENDLESS), buffered=False)
    assert first.headers["x-vercel-ai-ui-message-stream"] == "v1"
    begun = next(iter(first.response))
    resumed = client.get(f"{address}/stream", buffered=False)
    assert next(iter(resumed.response)) == begun
    assert client.post(f"{address}/stop").status_code == 204
    rest = b"".join(resumed.response)
    resumed.close()
    assert sse(rest)[-2:] == [
        ("message", {"type": "abort", "reason": "stopped"}),
        ("message", "[DONE]"),
    ]
    assert client.get(f"{address}/stream").status_code == 204
    assert client.post(f"{address}/stop").status_code == 204


def test_a_chat_belongs_to_its_caller(make_app):
    client = make_app(keys=KEYS).test_client()
    first = client.post("/ui/chat", json=chat(model=ENDLESS), headers=with_key("anna"), buffered=False)
    next(iter(first.response))
    statuses = [
        client.get("/ui/chat/chat/1/stream", headers=with_key(name), buffered=False) for name in ("bob", "anna")
    ]
    assert [response.status_code for response in statuses] == [204, 200]
    client.post("/ui/chat/chat/1/stop", headers=with_key("anna"))


def test_errors_of_the_chat_door_are_one_sentence(client):
    response = client.post("/ui/chat", json={"id": "c"})
    assert (response.status_code, response.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert response.text == "messages has to be the whole conversation: none is kept here."


def test_models_have_the_shape_that_the_header_asks_for(client):
    theirs = {"anthropic-version": "2023-06-01"}
    assert client.get("/v1/models").json["object"] == "list"
    assert client.get("/v1/models", headers=theirs).json["data"][0]["type"] == "model"
    assert client.get("/v1/models/demo", headers=theirs).json["display_name"] == "demo"
    assert client.get("/v1/models/x", headers=theirs).json["type"] == "error"


def test_tokens_are_counted_with_tools_and_system(client):
    few = client.post("/v1/messages/count_tokens", json=HI | {"model": "demo"}).json
    tools = [{"name": "w", "description": "x" * 400, "input_schema": {"type": "object"}}]
    more = client.post("/v1/messages/count_tokens", json=HI | {"tools": tools, "system": "s" * 40}).json
    assert set(few) == {"input_tokens"}
    assert more["input_tokens"] > few["input_tokens"] + 100


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/v1/none", "/v1/responses/{id}"),
        ("/v1/messages/no", "/v1/messages"),
        ("/api/pull", "/api/tags"),
        ("/ui/x", "/ui/chat"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(client, path, there):
    response = client.post(path, json={})
    assert response.status_code == 404
    assert f"POST {path}" in response.text and there in response.text


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"User-Agent": "ollama-python/0.6.3", "Accept": "application/json"}, False),
        ({"User-Agent": "ollama-js/0.6.4"}, False),
        ({"User-Agent": "Mozilla/5.0", "Accept": "text/html,*/*"}, True),
        ({"User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0)", "Accept": "*/*"}, True),
        ({}, True),
    ],
)
def test_ollamas_clients_find_one_running_and_browsers_the_page(client, headers, page):
    response = client.get("/", headers=headers)
    assert (response.status_code, response.text == "Ollama is running") == (200, not page)
    assert client.head("/", headers=headers).status_code == 200


def test_other_json_calls_are_passed_on_and_counted(make_app):
    said = b'{"object":"list","data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3},"own":1}'
    upstream = Fake(*[whole(body=said)] * 3)
    table = UpstreamSettings("up", "openai", ("m",), upstream.address, connect=WAIT, retries=0)
    app = make_app(upstreams=(table, DEMO), keys=(KeySettings("anna", digest("ms-anna"), max_tokens=5),))
    client, rows = app.test_client(), []
    app.extensions["millstream"].streams._ends.record = rows.append
    body = {"model": "m", "input": ["x"], "odd": {"a": 1}}
    assert client.post("/v1/embeddings", json=body).status_code == 401
    response = client.post("/v1/embeddings", json=body, headers=with_key("anna"))
    assert (response.status_code, response.data) == (200, said)
    assert upstream.requests[0].startswith(b"POST /v1/embeddings ")
    assert json.loads(upstream.requests[0].partition(b"\r\n\r\n")[2]) == body
    assert [(row.api, row.caller, row.usage.input, row.usage.output) for row in rows] == [
        ("/embeddings", "anna", 3, 0)
    ]
    other = client.post("/v1/embeddings", json=body | {"model": "demo"}, headers=with_key("anna"))
    assert (other.status_code, other.json["error"]["param"]) == (404, "model")
    upstream.close()
