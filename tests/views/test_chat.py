"""What /chat takes, and in which format it answers."""

from __future__ import annotations

import json

import pytest

from millstream.upstreams.demo_text import TEXT
from millstream.wire.sse import Decoder


def events(response):
    """The stream's events as (type, data, id)."""
    decoder = Decoder()
    return [(event.type, json.loads(event.data), event.id) for event in decoder.feed(response.data)]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
    ],
)
def test_accept_chooses_the_format(client, accept, content_type):
    response = client.post("/chat", data={"prompt": "Hi"}, headers={"Accept": accept} if accept else {})
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Content-Location"].startswith("/streams/")
    assert response.data


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"prompt": "Hi"}},
        {"json": {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "stop": "x", "stream": True}},
        {"data": {"prompt": "Hi", "max_tokens": "5"}},
        {"data": {"messages": '[{"role":"user","content":"Hi"}]', "prompt": "and?"}},
        {"data": b"Hi there", "content_type": "text/plain"},
        {"data": "What is 1=1?\n你好".encode(), "content_type": "application/x-www-form-urlencoded"},
        {"data": b"prompt=Tell me a joke", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"prompt=Hi"},
        {"data": {"prompt": "Hi"}, "content_type": "multipart/form-data"},
        {"data": b"Hi", "content_type": "text/plain", "query_string": {"model": "demo?tokens=3", "padding": "16"}},
    ],
)
def test_a_question_comes_in_many_shapes(client, request_):
    assert client.post("/chat", **request_).status_code == 200


@pytest.mark.parametrize(
    ("request_", "status", "code", "param"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400, "bad_json", None),
        ({"json": ["x"]}, 400, "bad_json", None),
        ({"data": b"[" * 100_000, "content_type": "application/json"}, 400, "bad_json", None),
        ({"json": {}}, 400, "bad_field", "prompt"),
        ({"json": {"prompt": " "}}, 400, "bad_field", "prompt"),
        ({"json": {"prompt": 5}}, 400, "bad_field", "prompt"),
        ({"json": {"prompt": "x", "promt": "y"}}, 400, "unknown_field", "promt"),
        ({"data": b"promt=Hi"}, 400, "unknown_field", "promt"),
        ({"json": {"messages": []}}, 400, "bad_field", "messages"),
        ({"json": {"messages": [{"role": "x", "content": ""}]}}, 400, "bad_field", "messages[0].role"),
        ({"json": {"messages": [{"role": "user", "content": 1}]}}, 400, "bad_field", "messages[0].content"),
        ({"json": {"prompt": "x", "temperature": "hot"}}, 400, "bad_field", "temperature"),
        ({"json": {"prompt": "x", "max_tokens": 0}}, 400, "bad_field", "max_tokens"),
        ({"json": {"prompt": "x", "stop": [1]}}, 400, "bad_field", "stop"),
        ({"json": {"prompt": "x", "preset": "unknown"}}, 400, "bad_field", "preset"),
        ({"json": {"prompt": "x", "model": "unknown"}}, 404, "model_not_found", "model"),
        ({"json": {"prompt": "x", "model": "demo?nonsense=1"}}, 400, "bad_field", "model"),
        ({"json": {"prompt": "x", "padding": -1}}, 400, "bad_field", "padding"),
        ({"data": b"\xff", "content_type": "text/plain"}, 400, "bad_field", "prompt"),
        ({"data": b"prompt=%ff", "content_type": "application/x-www-form-urlencoded"}, 400, "bad_field", None),
        ({"data": b"x", "content_type": "image/png"}, 415, "unsupported_media_type", "Content-Type"),
        ({"data": b"x" * 2_000_000, "content_type": "text/plain"}, 413, "body_too_large", None),
        ({"json": {"prompt": "x"}, "headers": {"Accept": "image/png"}}, 406, "not_acceptable", None),
        ({"json": {"prompt": "x"}, "query_string": {"prompt": "y"}}, 400, "bad_field", "prompt"),
        ({"json": {"prompt": "x"}, "headers": {"Idempotency-Key": "k" * 201}}, 400, "bad_field", "Idempotency-Key"),
        ({"json": {"prompt": "x", "model": "demo?fault=refuse"}}, 502, "upstream_refused", None),
    ],
)
def test_bad_input_gets_its_code_and_starts_nothing_that_lasts(client, app, request_, status, code, param):
    response = client.post("/chat", **request_)
    assert (response.status_code, response.json["error"]["code"], response.json["error"]["param"]) == (
        status,
        code,
        param,
    )
    assert app.extensions["millstream"].streams.live == {}


def test_the_text_is_the_answer_and_nothing_else(client):
    response = client.post("/chat", json={"prompt": "Hi", "model": f"demo?pace=100000&tokens={len(TEXT)}"})
    assert response.text == "".join(TEXT)


def test_events_carry_numbers_without_gaps_and_one_end(client):
    response = client.post("/chat?format=sse", json={"prompt": "Hi"})
    start, *middle, (last, facts, _) = events(response)
    id = start[1]["id"]
    assert start == ("start", {"id": id, "url": f"/streams/{id}", "model": "demo"}, f"{id}.0")
    assert [event[2] for event in middle] == [f"{id}.{n}" for n in range(1, len(middle) + 1)]
    assert (last, facts["finish_reason"], facts["upstream"]) == ("done", "stop", "demo")
    assert set(facts["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens", "source"}


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("text/event-stream, */*;q=0.1", 200),
        ("*/*", 406),
        ("text/*", 406),
        ("image/*", 406),
    ],
)
def test_get_starts_an_answer_only_where_events_are_spelled_out(client, accept, status):
    assert client.get("/chat?prompt=Hi", headers={"Accept": accept}).status_code == status


def test_an_image_tag_starts_nothing_even_with_a_format(client):
    headers = {"Accept": "image/avif,image/webp,image/*,*/*;q=0.8"}
    assert client.get("/chat?prompt=Hi&format=sse", headers=headers).status_code == 406


def test_get_with_format_sse_needs_no_accept(client):
    assert client.get("/chat?prompt=Hi&format=sse").status_code == 200


@pytest.mark.parametrize("path", ["/chat?prompt=Hi&format=sse", "/"])
def test_head_starts_nothing(client, app, path):
    response = client.head(path)
    assert (response.status_code, response.data) == (200, b"")
    assert app.extensions["millstream"].streams.live == {}


def test_an_idempotency_key_gives_the_same_answer_once_more(client):
    one = client.post("/chat?format=sse", json={"prompt": "Hi"}, headers={"Idempotency-Key": '"k 1"'})
    two = client.post("/chat?format=sse&idempotency_key=k+1", json={"prompt": "Hi"})
    other = client.post("/chat", data={"prompt": "Ho", "idempotency_key": "k 1"})
    assert events(one) == events(two)
    assert (other.status_code, other.json["error"]["code"]) == (422, "idempotency_key_reused")


def test_last_event_id_on_chat_resumes_and_asks_nothing(client, app):
    first = events(client.post("/chat?format=sse", json={"prompt": "Hi"}))
    resumed = client.get("/chat?prompt=Hi", headers={"Accept": "text/event-stream", "Last-Event-ID": first[5][2]})
    (_, _, opening), *rest = events(resumed)
    assert opening == first[5][2]
    assert rest == first[6:]


def test_a_waiting_json_request_gets_the_whole_answer(client):
    body = client.post(
        "/chat",
        json={"prompt": "Hi", "model": "demo?reasoning=3&tokens=5&pace=10000"},
        headers={"Accept": "application/json"},
    ).json
    assert set(body) >= {"id", "text", "reasoning", "finish_reason", "usage", "cost", "model"}
    assert "".join(TEXT).startswith(body["text"]) and body["reasoning"]


def test_a_waiting_json_request_gets_the_failures_status(client):
    response = client.post("/chat?format=json", json={"prompt": "Hi", "model": "demo?fault=cut&after=3&pace=1000"})
    assert (response.status_code, response.json["error"]["code"]) == (502, "upstream_broke")


def test_padding_comes_first(client):
    padded = client.post("/chat?padding=100", json={"prompt": "Hi"})
    assert padded.data[:100] == b" " * 99 + b"\n"


@pytest.mark.parametrize(
    ("accept", "begins"),
    [("text/html", b"<!DOCTYPE html>"), ("text/plain", b"There is nothing to ask"), ("application/json", b"{")],
)
def test_an_error_speaks_the_clients_format(client, accept, begins):
    response = client.post("/chat", json={}, headers={"Accept": accept})
    assert response.status_code == 400
    assert response.data.lower().startswith(begins.lower())


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/chat/x", 404)])
def test_unknown_addresses_have_the_one_error_shape(client, path, status):
    response = client.get(path)
    assert (response.status_code, set(response.json["error"])) == (status, {"message", "type", "code", "param"})


def test_a_wrong_method_says_which_are_allowed(client):
    response = client.put("/chat")
    assert (response.status_code, response.json["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_reloading_a_page_asks_nothing_again(client):
    form = {"prompt": "Hi", "format": "html", "once": "o1"}
    one, again = client.post("/chat", data=form), client.post("/chat", data=form)
    other = client.post("/chat", data={**form, "prompt": "Ho"})
    assert one.headers["Content-Location"] == again.headers["Content-Location"] != other.headers["Content-Location"]
