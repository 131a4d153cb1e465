"""/v1/responses by id: read, followed, stopped, erased; what is kept, and for whom."""

from __future__ import annotations

import pytest

from tests.dialects.answers import sse
from tests.views.keys import KEYS, with_key

PATH = "/v1/responses"
HI = {"model": "demo", "input": "Hi"}
ENDLESS = HI | {"model": "demo?tokens=100000&pace=50"}


@pytest.fixture
def two(make_app):
    return make_app(keys=KEYS).test_client()


def test_a_stored_answer_is_read_and_its_events_are_the_same_on_each_replay(client):
    answer = client.post(PATH, json=HI | {"store": True, "metadata": {"a": "b"}}).json
    assert client.get(f"{PATH}/{answer['id']}").json == answer
    assert answer["metadata"] == {"a": "b"}
    first, again = (client.get(f"{PATH}/{answer['id']}?stream=true").data for _ in range(2))
    assert first == again
    assert sse(first)[-1][1]["response"] == answer
    rest = client.get(f"{PATH}/{answer['id']}?starting_after=5&stream=true&include_obfuscation=false").data
    assert sse(rest) == sse(first)[6:]
    last = len(sse(first)) - 1
    assert client.get(f"{PATH}/{answer['id']}?stream=true&starting_after={last}").data == b""
    beyond = client.get(f"{PATH}/{answer['id']}?stream=true&starting_after={last + 1}")
    assert (beyond.status_code, beyond.json["error"]["param"]) == (400, "starting_after")


def test_a_background_answer_is_queued_runs_alone_and_can_be_cancelled(client):
    begun = client.post(PATH, json=ENDLESS | {"background": True})
    assert (begun.status_code, begun.json["status"], begun.json["background"]) == (200, "queued", True)
    url = f"{PATH}/{begun.json['id']}"
    assert client.get(url).json["status"] in ("queued", "in_progress")
    stopped = client.post(f"{url}/cancel")
    assert (stopped.status_code, stopped.json["status"]) == (200, "cancelled")
    assert sse(client.get(f"{url}?stream=true").data)[-1][0] == "response.incomplete"
    assert client.delete(url).json == {"id": begun.json["id"], "object": "response", "deleted": True}
    assert client.get(url).status_code == 404


def test_a_background_question_with_a_key_is_asked_once(client, app):
    asked, key = ENDLESS | {"background": True}, {"Idempotency-Key": "once"}
    first, again = (client.post(PATH, json=asked, headers=key) for _ in range(2))
    assert (first.status_code, again.json["id"]) == (200, first.json["id"])
    streamed = client.post(PATH, json=asked | {"stream": True}, headers=key)
    assert sse(next(iter(streamed.response)))[0][1]["response"]["id"] == first.json["id"]
    assert len(app.extensions["millstream"].streams.live) == 1
    other = client.post(PATH, json=asked | {"input": "Else"}, headers=key)
    assert (other.status_code, other.json["error"]["code"]) == (422, "idempotency_key_reused")
    assert client.post(f"{PATH}/{first.json['id']}/cancel").json["status"] == "cancelled"


def test_the_input_is_listed_only_where_it_was_to_be_kept(client):
    items = [{"role": "user", "content": text} for text in ("a", "b", "c")]
    answer = client.post(PATH, json=HI | {"input": items, "store": True}).json
    url = f"{PATH}/{answer['id']}/input_items"
    page = client.get(f"{url}?limit=2").json
    assert ([item["content"] for item in page["data"]], page["has_more"]) == (["c", "b"], True)
    rest = client.get(f"{url}?limit=2&after={page['last_id']}").json
    assert ([item["content"] for item in rest["data"]], rest["has_more"]) == (["a"], False)
    unsaid = client.post(PATH, json=HI).json
    assert client.get(f"{PATH}/{unsaid['id']}/input_items").status_code == 404


def test_a_former_answer_goes_on_for_its_own_caller_alone(two):
    answer = two.post(PATH, json=HI | {"store": True}, headers=with_key("anna")).json
    after = HI | {"previous_response_id": answer["id"]}
    assert two.post(PATH, json=after, headers=with_key("anna")).json["previous_response_id"] == answer["id"]
    for refused in (
        two.post(PATH, json=after, headers=with_key("bob")),
        two.get(f"{PATH}/{answer['id']}", headers=with_key("bob")),
    ):
        assert refused.status_code in (400, 404)
        assert set(refused.json["error"]) == {"message", "type", "code", "param"}


@pytest.mark.parametrize("id", ["resp_x", "resp_" + "A" * 22, "x", "msg_" + "A" * 22, "%00", "resp_" + "é" * 22])
def test_an_unknown_id_is_404_in_openais_words(client, id):
    for response in (client.get(f"{PATH}/{id}"), client.delete(f"{PATH}/{id}"), client.post(f"{PATH}/{id}/cancel")):
        assert response.status_code == 404
        assert set(response.json["error"]) == {"message", "type", "code", "param"}


def test_tokens_are_estimated(client):
    few = client.post(f"{PATH}/input_tokens", json=HI).json
    assert few == {"object": "response.input_tokens", "input_tokens": few["input_tokens"]}
    tool = {"type": "function", "name": "w", "parameters": {"type": "object", "description": "x" * 400}}
    assert client.post(f"{PATH}/input_tokens", json=HI | {"tools": [tool]}).json["input_tokens"] > 100
    assert client.post(f"{PATH}/compact", json=HI).status_code == 404


def test_a_background_answer_is_refused_where_none_may_go_on_alone(make_app):
    client = make_app(keep=False).test_client()
    refused = client.post(PATH, json=HI | {"background": True})
    assert (refused.status_code, refused.json["error"]["param"]) == (400, "background")
    assert client.post(PATH, json=HI | {"background": True, "stream": True}).status_code == 200
