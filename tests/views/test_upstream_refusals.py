"""What a refusal of the upstream tells who asked: the status, and how long to wait."""

from __future__ import annotations

from contextlib import closing
from html import unescape

import pytest

from millstream.errors import PUBLIC
from millstream.settings import UpstreamSettings
from tests.upstreams.fake import WAIT, Fake, whole
from tests.views.doors import DOORS
from tests.views.keys import KEYS, with_key

BUSY = b'{"error":{"message":"Slow down"}}'


@pytest.fixture
def ask(make_app):
    """Asks an upstream that answers so."""
    made = []

    def ask(reply, path="/chat", keys=(), open=False, method="POST", **options):
        made.append(Fake(reply))
        table = UpstreamSettings("busy", "openai", ("m",), made[-1].address, connect=WAIT, retries=0)
        client = make_app(upstreams=(table,), status_wait=WAIT, keys=keys, open=open).test_client()
        if method == "POST":
            options.setdefault("json", {"prompt": "Hi"})
        response = client.open(path, method=method, **options)
        response.client = client
        return response

    yield ask
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("path", "format"), [("/chat", "sse"), ("/chat", "json"), ("/chat", "text"), ("/streams", "")]
)
@pytest.mark.parametrize(
    ("header", "told"), [("Retry-After: 30", "30"), ("retry-after-ms: 1200", "2"), ("X-Nothing: 1", None)]
)
def test_the_wait_that_the_upstream_wants_is_told(ask, path, format, header, told):
    query = f"{path}?format={format}" if format else path
    response = ask(whole("429 Too Many Requests", BUSY, header), query)
    assert (response.status_code, response.headers.get("Retry-After")) == (429, told)
    assert "x-should-retry" not in response.headers
    assert "Slow down" in response.text
    assert "retry_after" not in response.text


ASKED = {**DOORS, "/v1/embeddings": {"input": "Hi"}}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ASKED)
def test_and_through_every_door(ask, path, stream):
    """OpenAI's and Anthropic's packages, and agents, wait that long and ask again."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream, **ASKED[path]}
    response = ask(whole("429 Too Many Requests", BUSY, "Retry-After: 30"), path, json=asked)
    assert (response.status_code, response.headers.get("Retry-After")) == (429, "30")
    assert "x-should-retry" not in response.headers
    assert "Slow down" in response.text


STATUSES = {
    "400 Bad Request": (400, "bad_request", "false"),
    "413 Too Large": (413, "bad_request", "false"),
    "422 Unprocessable": (422, "bad_request", "false"),
    "401 Unauthorized": (502, "upstream_auth", "false"),
    "403 Forbidden": (502, "upstream_auth", "false"),
    "429 Too Many": (429, "upstream_limited", None),
    "500 Oops": (502, "upstream_refused", "false"),
    "503 Busy": (502, "upstream_refused", None),
}


@pytest.mark.parametrize(("line", "told"), STATUSES.items(), ids=STATUSES)
@pytest.mark.parametrize("path", ["/chat?format=json", "/v1/chat/completions", "/v1/messages"])
def test_each_status_raises_the_right_class_in_an_sdk_and_pays_once(ask, line, told, path):
    reply = whole(line, b'{"error":{"message":"The upstream says why"}}')
    asked = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    response = ask(reply, path, json=asked)
    status, code, retry = told
    if path == "/v1/messages" and status == 422:
        status = 400  # which that API has instead
    assert (response.status_code, response.headers.get("x-should-retry")) == (status, retry)
    assert code != "bad_request" or "The upstream says why" in response.text
    assert path == "/v1/messages" or response.json["error"]["code"] == code


HI = [{"role": "user", "content": "Hi"}]
BODIES = {
    "/v1/completions": {"prompt": "Hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 9},
    "/v1/responses": {"input": "Hi"},
    "/api/chat": {"model": "m", "messages": HI},
}
REFUSALS = [
    (whole("401 Unauthorized", b'{"error":{"message":"Bad key sk-1"}}'), "upstream_auth", "Check its api_key."),
    (whole("302 Found", b"", "Location: https://internal.example/"), "upstream_refused", "https://internal.example/"),
]


@pytest.mark.parametrize(("reply", "code", "detail"), REFUSALS)
@pytest.mark.parametrize("path", [*(f"/chat?format={name}" for name in ("json", "text", "html")), *BODIES])
@pytest.mark.parametrize(("key", "told"), [("anna", False), ("chief", True)])
def test_the_operators_part_of_a_message_is_for_operators(ask, caplog, path, reply, code, detail, key, told):
    response = ask(reply, path, keys=KEYS, headers=with_key(key), json=BODIES.get(path, {"prompt": "Hi"}))
    says = unescape(response.text)
    assert (response.status_code, detail in says, PUBLIC[code] in says) == (502, told, not told)
    assert caplog.text.count(detail) == 1 and "WARNING" in caplog.text


@pytest.mark.parametrize(("reply", "code", "detail"), REFUSALS)
def test_what_is_told_on_the_way_is_for_operators_too(ask, reply, code, detail):
    query = {"format": "sse", "prompt": "Hi"}
    asked = {"keys": KEYS, "method": "GET", "query_string": query}
    for key, told in (("anna", False), ("chief", True)):
        response = ask(reply, headers=with_key(key), **asked)
        assert (f'"code":"{code}"' in response.text, detail in response.text) == (True, told)
        url = response.headers["Content-Location"]
        poll = response.client.get(url, headers={**with_key(key), "Accept": "application/json"})
        assert (poll.json["events"][-1]["error"]["code"], detail in poll.text) == (code, told)


@pytest.mark.parametrize(("peer", "told"), [("127.0.0.1", True), ("192.0.2.7", False)])
def test_without_keys_who_asks_on_this_machine_is_the_operator(ask, peer, told):
    response = ask(REFUSALS[0][0], open=True, environ_base={"REMOTE_ADDR": peer})
    assert ("Check its api_key." in response.text) == told


def test_a_refusal_is_asked_again_as_often_as_retries_say_and_no_more(make_app):
    with closing(Fake(*[whole("503 Busy", b"")] * 9)) as fake:
        table = UpstreamSettings("busy", "openai", ("m",), fake.address, connect=WAIT, retries=1)
        client = make_app(upstreams=(table,), status_wait=WAIT).test_client()
        assert client.post("/chat", json={"prompt": "Hi"}).status_code == 502
        assert len(fake.requests) == 2
