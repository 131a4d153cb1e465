"""Requests that meet limits; here there are no keys, so everybody is one caller."""

from __future__ import annotations

import gevent
import pytest

from millstream import limits as room
from millstream.access.keyring import digest
from millstream.settings import KeySettings
from millstream.upstreams.demo import Demo

HELD = "demo?hold_last=30"
WINDOW = "x-ratelimit-remaining-requests"


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch):
    monkeypatch.setattr(room, "SETTLING", ())


@pytest.fixture
def ask(make_app, tmp_path):
    """Asks an application with such limits, through one of its doors."""

    def limited(**settings: object):
        client = make_app(limits_store=f"sqlite:{tmp_path}/limits.db", **settings).test_client()

        def ask(path: str = "/chat", model: str = "demo", prompt: str = "Hi", **headers: str):
            asked = {"messages": [{"role": "user", "content": prompt}], "model": model}
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post(path, json=asked, headers=given)

        ask.client = client
        return ask

    return limited


DOORS = ["/chat", "/streams", "/v1/chat/completions"]


@pytest.mark.parametrize("path", DOORS)
def test_every_door_counts_and_refuses(ask, path):
    ask = ask(requests_per_minute=2, tokens_per_day=1000)
    answer = ask(path)
    assert answer.status_code in (200, 201)
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit")}
    reset = told.pop("x-ratelimit-reset-tokens")
    assert reset.endswith("s")
    assert told == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "1000",
    }
    ask(path)
    refused = ask(path)
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "requests")
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert "Only 2 answers a minute can be started here. Try again in " in refused.json["error"]["message"]
    assert 55 < int(refused.headers["Retry-After"]) <= 61
    assert refused.headers[WINDOW] == "0"


def test_an_event_source_is_counted_too(ask):
    ask = ask(requests_per_minute=1)
    url, accept = "/chat?prompt=Hi", {"Accept": "text/event-stream"}
    assert ask.client.get(url, headers=accept).status_code == 200
    assert ask.client.get(url, headers=accept).status_code == 429


def test_what_begins_no_answer_is_not_counted(ask):
    ask = ask(requests_per_minute=2)
    assert ask(prompt=" ", path="/chat").status_code == 200  # a message of a blank is one
    for request in ({"json": {}}, {"json": {"prompt": "x", "model": "none"}}, {"data": b"{", "content_type": "x/y"}):
        assert ask.client.post("/chat", **request).status_code in (400, 404, 415)
    url = ask().headers["Content-Location"]
    assert ask().status_code == 429
    for response in (
        ask.client.get(url),
        ask.client.get("/v1/models"),
        ask.client.get("/"),
        ask.client.post(f"{url}/stop"),
    ):
        assert response.status_code in (200, 204) and WINDOW not in response.headers


@pytest.mark.parametrize("path", DOORS)
def test_a_replay_is_neither_counted_nor_refused(ask, path):
    ask = ask(requests_per_minute=2)
    assert ask(path, Idempotency_Key="a").headers[WINDOW] == "1"
    assert WINDOW not in ask(path, Idempotency_Key="a").headers
    assert ask(path).headers[WINDOW] == "0"
    assert [ask(path, Idempotency_Key=key).status_code // 100 for key in "ab"] == [2, 4]


def test_a_refused_key_is_free_again(ask):
    ask = ask(streams=1)
    url = ask("/streams", HELD).json["url"]
    assert [ask(Idempotency_Key="a").status_code for _ in range(2)] == [429, 429]
    ask.client.post(f"{url}/stop")
    gevent.sleep(0.1)
    assert ask(Idempotency_Key="a").status_code == 200


def test_who_sends_the_same_twice_at_once_is_refused_twice(ask, monkeypatch):
    monkeypatch.setattr(room, "SETTLING", (0.2,))
    ask = ask(streams=1)
    ask("/streams", HELD)
    both = [gevent.spawn(ask, Idempotency_Key="a") for _ in range(2)]
    gevent.joinall(both, 30)
    assert [(one.value.status_code, one.value.headers["Retry-After"]) for one in both] == [(429, "5")] * 2
    assert [one.value.json["error"]["code"] for one in both] == ["streams"] * 2


def test_an_answer_that_could_not_begin_gives_its_place_back(ask, monkeypatch):
    ask = ask(streams=1)
    use = ask.client.application.extensions["millstream"]
    create = use.streams._store.create
    monkeypatch.setattr(use.streams._store, "create", lambda meta: 1 / 0)
    assert ask().status_code == 500
    monkeypatch.setattr(use.streams._store, "create", create)
    gevent.sleep(0.1)
    assert ask().status_code == 200


def test_an_upstreams_refusal_gives_its_place_back(ask):
    ask = ask(streams=1)
    assert ask(model="demo?fault=refuse").status_code == 502
    gevent.sleep(0.1)
    assert ask().status_code == 200


@pytest.mark.parametrize("path", DOORS)
def test_a_longer_question_is_refused(ask, path):
    ask = ask(max_prompt=5)
    assert ask(path, prompt="12345").status_code in (200, 201)
    refused = ask(path, prompt="123456")
    assert (refused.status_code, refused.json["error"]["code"]) == (413, "prompt_too_long")
    assert "has 6 characters; shorten it to 5." in refused.json["error"]["message"]


@pytest.mark.parametrize("path", DOORS)
def test_no_longer_answer_is_asked_for(ask, monkeypatch, path):
    calls, asked = [], Demo.ask
    monkeypatch.setattr(Demo, "ask", lambda self, call: calls.append(call) or asked(self, call))
    ask = ask(max_tokens=3)
    for more in ({}, {"max_tokens": 2}, {"max_tokens": 9}):
        ask.client.post(path, json={"messages": [{"role": "user", "content": "Hi"}], **more})
    assert [call.question.options.max_tokens for call in calls] == [3, 2, 3]


def test_each_key_has_its_own_count(ask):
    keys = (KeySettings("a", digest("ms-a")), KeySettings("b", digest("ms-b"), requests_per_minute=2))
    ask = ask(requests_per_minute=1, keys=keys)
    assert [ask(Authorization="Bearer ms-a").status_code for _ in range(2)] == [200, 429]
    assert [ask(Authorization="Bearer ms-b").status_code for _ in range(3)] == [200, 200, 429]


def test_a_page_says_so_in_words(ask):
    ask = ask(requests_per_minute=1)
    ask()
    page = ask.client.post("/chat", data={"prompt": "Hi", "format": "html"})
    assert page.status_code == 429 and "Only 1 answer a minute can be started here." in page.text
