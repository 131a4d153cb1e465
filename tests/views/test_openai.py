"""OpenAI's API over texts and over frames: what it takes, what it answers."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.dialects.chat.question import DOCUMENTED
from millstream.dialects.completions.question import DOCUMENTED as LEGACY_DOCUMENTED
from millstream.settings import UpstreamSettings
from millstream.wire.sse import Decoder
from tests.upstreams.fake import ANSWER, CHUNKED, END, LAST, RESET, WAIT, Fake, chunk, event, whole

CHAT, LEGACY = "/v1/chat/completions", "/v1/completions"
HI = [{"role": "user", "content": "Hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def frames(response):
    """The data of all events; the last one as it is."""
    *datas, last = [one.data for one in Decoder().feed(response.data)]
    return [json.loads(data) for data in datas], last


def part(**part):
    return [{"role": "user", "content": [{"type": "image_url"} | part]}]


@pytest.fixture
def native(make_app):
    """A client of an application over an upstream with OpenAI's API that answers so; and that upstream."""
    made = []

    def native(*replies, **more):
        made.append(Fake(*replies))
        table = UpstreamSettings("up", "openai", ("m", "a/b"), made[-1].address, connect=WAIT, retries=0)
        return make_app(upstreams=(table,), status_wait=WAIT, **more).test_client(), made[-1]

    yield native
    for one in made:
        one.close()


# -- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "text/html", "image/png", None])
@pytest.mark.parametrize(
    ("stream", "content_type"), [(True, "text/event-stream; charset=utf-8"), (False, "application/json")]
)
def test_the_body_decides_and_accept_does_not(client, accept, stream, content_type):
    headers = {"Accept": accept} if accept else {}
    response = client.post(CHAT, json={"messages": HI, "model": "demo", "stream": stream}, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert "Vary" not in response.headers
    assert response.headers["x-request-id"]


def test_the_answer_is_the_same_streamed_and_whole(client):
    asked = {"messages": HI, "model": "demo?reasoning=2&pace=100000"}
    whole = client.post(CHAT, json=asked).json
    made, last = frames(client.post(CHAT, json=asked | {"stream": True}))
    assert last == b"[DONE]"
    deltas = [one["choices"][0]["delta"] for one in made]
    message = whole["choices"][0]["message"]
    for name in ("content", "reasoning_content"):
        assert message[name] == "".join(delta.get(name, "") for delta in deltas) != ""
    assert whole["object"] == "chat.completion"
    assert whole["usage"]["completion_tokens"] == len(deltas) - 2  # but the role and the end


def test_usage_is_streamed_to_those_who_ask(client):
    asked = {"messages": HI, "stream": True}
    without, _ = frames(client.post(CHAT, json=asked))
    asked["stream_options"] = {"include_usage": True}
    with_, _ = frames(client.post(CHAT, json=asked))
    assert not any("usage" in one for one in without)
    assert (with_[-1]["choices"], with_[-1]["usage"]["completion_tokens"]) == ([], 20)
    assert len(with_) == len(without) + 1


def test_legacy_completions(client):
    made, last = frames(client.post(LEGACY, json={"prompt": "Once", "stream": True}))
    whole = client.post(LEGACY, json={"prompt": "Once"}).json
    assert (last, made[0]["object"], whole["object"]) == (b"[DONE]", "text_completion", "text_completion")
    assert whole["choices"][0]["text"] == "".join(one["choices"][0]["text"] for one in made)


def test_frames_pass_as_they_came_and_fields_as_they_were_sent(native):
    odd = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"x":1.0}]}}],  "new":"\\u00e9"}\n\n'
    client, upstream = native(CHUNKED + chunk(odd) + chunk(END) + LAST)
    asked = {"tools": [{"type": "function", "function": {"name": "f"}}], "n": 1, "top_k": 5, "temperature": 1}
    response = client.post(CHAT, json={"messages": [*HI, *part(**IMAGE)], "model": "m", "stream": True, **asked})
    assert odd in response.data
    assert b"usage" not in response.data
    sent = json.loads(upstream.requests[0].partition(b"\r\n\r\n")[2])
    assert sent == {
        "messages": [*HI, *part(**IMAGE)],
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        **asked,
    }


@pytest.mark.parametrize("extra", ['[[1.0, "\\u00e9"], ' + '"x", ' * 100 + "{}]", "null", '{"a":1.0}'])
def test_a_field_that_is_not_documented_passes_as_it_was_written(native, extra):
    client, upstream = native(ANSWER)
    body = f'{{"messages":{json.dumps(HI)},"max_tokens":5.0,"documents":{extra}}}'
    assert client.post(CHAT, data=body).status_code == 200
    sent = json.loads(upstream.requests[0].partition(b"\r\n\r\n")[2])
    assert json.dumps(sent["documents"]) == json.dumps(json.loads(extra))
    assert repr(sent["max_tokens"]) == "5"


def test_an_answer_of_frames_is_put_together(native):
    client, _ = native(ANSWER)
    whole = client.post(CHAT, json={"messages": HI}).json
    assert whole["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "finish_reason": "stop",
        }
    ]
    assert (whole["model"], whole["usage"]) == ("m-1", {"prompt_tokens": 3, "completion_tokens": 2})


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x"}, {"Content-Type": "text/plain"}, {}])
def test_json_is_json_whatever_it_is_called(client, headers):
    data = json.dumps({"messages": HI, "model": None, "stream": None, "stream_options": None})
    assert client.post(CHAT, data=data, headers=headers).status_code == 200


# -- models -----------------------------------------------------------------------------------------------------


def test_models(native):
    client, _ = native()
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == ["m", "a/b"]
    for one in listed["data"]:
        assert client.get(f"/v1/models/{one['id']}").json == one
        assert (one["object"], one["owned_by"]) == ("model", "up")
    assert client.get("/v1/models/a%2Fb").json["id"] == "a/b"


def test_discovered_models_say_what_they_can(make_app):
    server = Fake()
    listed = {"data": [{"id": "x", "capabilities": {"function_calling": True}}, {"id": "embed-1"}, {"id": "y"}]}
    server.models = whole(body=json.dumps(listed).encode())
    client = make_app(upstreams=(UpstreamSettings("up", "openai", (), server.address),)).test_client()
    first, second = client.get("/v1/models").json["data"]
    assert (first["id"], first["capabilities"], second["id"]) == ("x", {"tools": True}, "y")
    assert "capabilities" not in second
    server.close()
    missing = client.get("/v1/models/none/such")
    assert (missing.status_code, missing.json["error"]["code"]) == (404, "model_not_found")


# -- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        (CHAT, b"{", 400, "bad_json", None),
        (CHAT, b"", 400, "bad_json", None),
        (CHAT, b"[]", 400, "bad_json", None),
        (CHAT, b"[" * 100_000, 400, "bad_json", None),
        (CHAT, b'{"messages":[],"temperature":1e999}', 400, "bad_field", "temperature"),
        (CHAT, b'{"messages":' + b"[[" * 60 + b"]]" * 60 + b"}", 400, "bad_json", None),
        (CHAT, b'{"x":[' + b"[]," * 200_000 + b"1]}", 400, "bad_json", None),
        (CHAT, b'{"x":"' + b"x" * 300 + b'\xff"}', 400, "bad_json", "x"),
        (CHAT, {}, 400, "bad_field", "messages"),
        (CHAT, {"messages": []}, 400, "bad_field", "messages"),
        (CHAT, {"messages": "Hi"}, 400, "bad_field", "messages"),
        (CHAT, {"messages": ["Hi"]}, 400, "bad_field", "messages[0]"),
        (CHAT, {"messages": [{}]}, 400, "bad_field", "messages[0].role"),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, 400, "bad_field", "messages[0].content"),
        (CHAT, {"messages": [{"role": "user", "content": [5]}]}, 400, "bad_field", "messages[0].content[0]"),
        (CHAT, {"messages": HI, "model": "none"}, 404, "model_not_found", "model"),
        (CHAT, {"messages": HI, "model": "m" * 201}, 400, "bad_field", "model"),
        (CHAT, {"messages": HI, "stream": "yes"}, 400, "bad_field", "stream"),
        (CHAT, {"messages": HI, "max_tokens": 5.5}, 400, "bad_field", "max_tokens"),
        (
            CHAT,
            {"messages": HI, "stream_options": {"include_usage": 1}},
            400,
            "bad_field",
            "stream_options.include_usage",
        ),
        (CHAT, {"messages": HI, "tools": [{"type": "function"}]}, 400, "bad_field", "tools[0].function"),
        (CHAT, {"messages": HI, "n": 2, "stream": True}, 400, "bad_field", "n"),
        (CHAT, {"messages": part(**IMAGE)}, 400, "bad_field", "messages"),
        (CHAT, {"messages": HI, "model": "demo?fault=refuse"}, 502, "upstream_refused", None),
        (CHAT, {"messages": HI, "model": "demo?fault=refuse", "stream": True}, 502, "upstream_refused", None),
        (CHAT, {"messages": HI, "model": "demo?fault=cut&after=3"}, 502, "upstream_broke", None),
        (LEGACY, {}, 400, "bad_field", "prompt"),
        (LEGACY, {"prompt": {}}, 400, "bad_field", "prompt"),
        (LEGACY, {"prompt": ["a", "b"]}, 400, "bad_field", "prompt"),
    ],
)
def test_bad_input_has_its_status_and_names_the_field(client, app, path, body, status, code, param):
    data = body if isinstance(body, bytes) else json.dumps(body)
    response = client.post(path, data=data, content_type="application/json", headers={"Accept": "text/html"})
    error = response.json["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert set(error) == {"message", "type", "code", "param"}
    assert response.headers["x-request-id"]
    assert app.extensions["millstream"].streams.live == {}


@pytest.mark.parametrize(
    ("path", "name"),
    [(CHAT, name) for name in sorted(DOCUMENTED)] + [(LEGACY, name) for name in sorted(LEGACY_DOCUMENTED)],
)
def test_every_known_field_has_a_type(client, path, name):
    asked = {"messages": HI} if path == CHAT else {"prompt": "x"}
    refused = 0
    for wrong in ({"": 1}, [[{}]], "x", 1.5, True):  # none of them is right for more than two types
        response = client.post(path, json=asked | {name: wrong})
        if response.status_code != 200:
            refused += 1
            assert response.status_code in (400, 404)  # there may be no model of this name
            assert response.json["error"]["param"].startswith(name)
    assert refused >= 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(st.sampled_from([*sorted(DOCUMENTED), "prompt"]) | st.text(max_size=5), JSON),
    path=st.sampled_from([CHAT, LEGACY]),
)
def test_nothing_that_is_sent_is_our_failure(client, fields, path):
    response = client.post(path, json=fields)
    assert response.status_code in (200, 400, 404), response.data
    assert response.status_code == 200 or set(response.json["error"]) == {"message", "type", "code", "param"}


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ({"image_url": {"url": "data:image/png;base64,@@@@"}}, "image_url.url"),
        ({"image_url": {"url": "data:image/png;base64,aGk"}}, "image_url.url"),
        ({"image_url": "data:image/png;base64,a"}, "image_url"),
        ({"image_url": {}}, "image_url.url"),
        ({"input_audio": {"data": "§", "format": "wav"}}, "input_audio.data"),
        ({"file": {"file_data": "data:application/pdf;base64,="}}, "file.file_data"),
    ],
)
def test_bad_base64_is_named_before_anybody_is_asked(native, content, param):
    client, upstream = native()
    response = client.post(CHAT, json={"messages": part(type=next(iter(content)), **content)})
    assert (response.status_code, response.json["error"]["param"]) == (400, f"messages[0].content[0].{param}")
    assert upstream.requests == []


def test_bodies_of_many_megabytes_with_images(native):
    client, upstream = native(ANSWER)
    url = "data:image/png;base64," + base64.b64encode(bytes(14 << 20)).decode()
    assert client.post(CHAT, json={"messages": part(image_url={"url": url})}).status_code == 200
    assert len(upstream.requests[0]) > len(url)
    more = client.post(CHAT, json={"messages": part(image_url={"url": url * 2})})
    assert (more.status_code, more.json["error"]["code"]) == (413, "body_too_large")


def test_a_prompt_of_a_megabyte(client):
    messages = [{"role": "user", "content": "x" * (1 << 20)}]
    assert client.post(CHAT, json={"messages": messages}).json["usage"]["prompt_tokens"] > 1 << 17


@pytest.mark.parametrize("reply", [RESET, b'data: {"error":{"message":"Overloaded"}}\n\n'])
def test_a_failure_behind_the_first_byte_is_an_error_and_no_done(native, reply):
    bad = [reply] if reply is RESET else [chunk(reply) + LAST]
    client, _ = native([CHUNKED + chunk(event("Hel")), *bad])
    response = client.post(CHAT, json={"messages": HI, "stream": True})
    [first], last = frames(response)
    assert first["choices"][0]["delta"]["content"] == "Hel"
    assert json.loads(last)["error"]["code"] == "upstream_broke"
    assert b"[DONE]" not in response.data


def test_an_error_never_shows_a_key(make_app):
    fake = Fake(whole("401 Unauthorized", b'{"error":{"message":"Bad key sk-secret-123"}}'))
    table = fake.settings(key="sk-secret-123", retries=0)
    response = make_app(upstreams=(table,), status_wait=WAIT).test_client().post(CHAT, json={"messages": HI})
    assert (response.status_code, response.json["error"]["code"]) == (502, "upstream_auth")
    assert "sk-secret" not in response.text
    fake.close()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/v1/nothing", 404)])
def test_other_addresses_answer_in_the_same_shape(client, method, path, status):
    response = client.open(path, method=method, headers={"Accept": "text/html"})
    assert (response.status_code, set(response.json["error"])) == (status, {"message", "type", "code", "param"})
    assert response.headers["x-request-id"]


def test_another_sites_page_may_not_ask(client):
    response = client.post(CHAT, json={"messages": HI}, headers={"Origin": "http://evil.example"})
    assert (response.status_code, response.json["error"]["code"]) == (403, "bad_origin")


# -- streams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_the_same_key_gives_the_same_answer_again(native, stream):
    client, upstream = native(ANSWER)
    asked = {"json": {"messages": HI, "stream": stream}, "headers": {"Idempotency-Key": "k"}}
    first, second = client.post(CHAT, **asked), client.post(CHAT, **asked)
    assert first.data == second.data
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, {"messages": HI, "user": "u"}), (LEGACY, {"messages": HI, "prompt": "x"}), ("/chat", {"prompt": "Hi"})],
)
def test_the_same_key_for_another_request_is_refused(client, path, body):
    headers = {"Idempotency-Key": "k"}
    assert client.post(CHAT, json={"messages": HI}, headers=headers).status_code == 200
    again = client.post(path, json=body, headers=headers)
    assert (again.status_code, again.json["error"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("stream", [True, False])
def test_its_streams_are_found_in_every_format_of_ours(native, stream):
    client, _ = native(ANSWER)
    response = client.post(CHAT, json={"messages": HI, "model": "m", "stream": stream})
    id = response.headers["x-request-id"]
    assert response.data
    assert client.get(f"/streams/{id}", headers={"Accept": "text/plain"}).text == "Hello"
    lines = client.get(f"/streams/{id}", headers={"Accept": "application/x-ndjson"}).text.split("\n")
    assert [json.loads(line).get("n") for line in lines if line] == [None, 1, 2, 3]
    assert client.delete(f"/streams/{id}").status_code == 204


@pytest.mark.parametrize(("key", "grace"), [(None, 0), ("k", 15)])
def test_only_a_key_lets_an_answer_wait_for_its_client(client, app, monkeypatch, key, grace):
    started = []
    use = app.extensions["millstream"].streams
    start = use.start

    def spy(call, *more, **named):
        started.append(call)
        return start(call, *more, **named)

    monkeypatch.setattr(use, "start", spy)
    client.post(CHAT, json={"messages": HI}, headers={"Idempotency-Key": key} if key else {})
    assert [(call.grace, call.api) for call in started] == [(grace, "openai")]


def test_where_no_list_can_be_had_the_page_opens_and_a_question_says_why(make_app):
    server = Fake()  # 404 for the list
    client = make_app(upstreams=(UpstreamSettings("up", "openai", (), server.address),)).test_client()
    assert [client.get(path).status_code for path in ("/", "/v1/models", "/readyz", "/api/tags")] == [200] * 4
    refused = client.post("/chat", json={"prompt": "Hi"})
    assert (refused.status_code, refused.json["error"]["code"]) == (502, "upstream_protocol")
    assert "gave no list of its models" in refused.text
    server.replies = [ANSWER]
    assert client.post("/chat?format=text", json={"prompt": "Hi", "model": "any"}).text == "Hello"
    server.close()
