"""What a key opens, and what it doesn't."""

from __future__ import annotations

from dataclasses import replace

import pytest

from millstream.settings import PresetSettings, SettingError, UpstreamSettings
from millstream.sockets import pool
from tests.upstreams.contracts import CONNECTED, End, Text
from tests.upstreams.fake import CHUNKED, LAST, WAIT, chunk, whole
from tests.views.keys import ANNA, BOB, CHIEF, with_key

DEMOS = (
    UpstreamSettings("large", "demo", models=("large", "small"), extra={"pace": 100000, "tokens": 3}),
    UpstreamSettings("demo", "demo", models=("demo",), extra={"pace": 100000, "tokens": 3}),
)
KEYS = (ANNA, replace(BOB, models=("small", "demo")), CHIEF)


@pytest.fixture
def client(make_app):
    return make_app(keys=KEYS, upstreams=DEMOS).test_client()


def ask(client, name, model, path="/chat"):
    question = {"messages": [{"role": "user", "content": "Hi"}], "model": model}
    response = client.post(path, json=question, headers=with_key(name))
    return response.status_code, (response.json or {}).get("error", {}).get("code")


@pytest.mark.parametrize("path", ["/chat", "/streams", "/v1/chat/completions"])
def test_a_key_asks_its_own_models_only(client, path):
    assert ask(client, "bob", "large", path) == (403, "model_not_allowed")
    assert ask(client, "bob", "demo?fault=cut", path) == (403, "model_not_allowed")
    assert ask(client, "bob", "absent", path) == (403, "model_not_allowed")
    assert ask(client, "bob", "small", path)[0] in (200, 201)
    assert ask(client, "anna", "large", path)[0] in (200, 201)


def test_a_key_is_shown_its_own_models_only_and_asks_its_first_by_default(client):
    def names(name):
        return [model["id"] for model in client.get("/v1/models", headers=with_key(name)).json["data"]]

    assert (names("anna"), names("bob")) == (["large", "small", "demo"], ["small", "demo"])
    page = client.get("/", headers=with_key("bob")).text
    assert 'value="small" selected' in page
    assert 'value="large"' not in page
    assert client.get("/v1/models/large", headers=with_key("bob")).status_code == 403
    answer = client.post("/chat", json={"prompt": "Hi", "format": "json"}, headers=with_key("bob"))
    assert answer.json["model"] == "small"


def test_a_key_is_shown_the_presets_it_may_use(make_app):
    presets = (PresetSettings("big", model="large"), PresetSettings("tiny", model="small"), PresetSettings("any"))
    client = make_app(keys=KEYS, upstreams=DEMOS, presets=presets).test_client()

    def names(name):
        return [preset["name"] for preset in client.get("/presets", headers=with_key(name)).json["presets"]]

    assert (names("anna"), names("bob")) == (["big", "tiny", "any"], ["tiny", "any"])
    assert '"big"' not in client.get("/", headers=with_key("bob")).text
    question = {"prompt": "Hi", "format": "json"}
    refused = client.post("/chat", json={**question, "preset": "big"}, headers=with_key("bob"))
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "model_not_allowed")
    assert client.post("/chat", json={**question, "preset": "any"}, headers=with_key("bob")).json["model"] == "small"
    assert client.get("/presets").status_code == 401


def test_a_model_that_is_nowhere_stops_the_start(make_app):
    with pytest.raises(SettingError, match=r"keys.bob.models has 'small', which no upstream has"):
        make_app(keys=KEYS)


def every_way(client, id, name):
    """All bytes and headers that each way to a stream gives, but for a request's own name."""
    headers = with_key(name)
    ways = [
        client.get(f"/streams/{id}", headers=headers),
        client.get(f"/streams/{id}?format=sse", headers=headers),
        client.get(f"/streams/{id}?format=json&after=1", headers=headers),
        client.get(f"/streams/{id}?format=html", headers=headers),
        client.get(f"/streams/{id}", headers={**headers, "Range": "bytes=1-"}),
        client.get(f"/streams/{id}", headers={**headers, "Last-Event-ID": f"{id}.1"}),
        client.head(f"/streams/{id}", headers=headers),
        client.post("/chat", headers={**headers, "Last-Event-ID": f"{id}.1"}),
        client.get(f"/chat?format=sse&last_event_id={id}.1", headers=headers),
        client.post(f"/streams/{id}/stop", headers=headers),
        client.post(f"/streams/{id}/stop", data={"format": "html"}, headers=headers),
        client.delete(f"/streams/{id}", headers=headers),
    ]
    return [(way.status, list(way.headers), way.data) for way in ways]


def test_another_ones_stream_and_an_absent_one_are_the_same_to_the_byte(client):
    id = client.post("/streams", json={"prompt": "Hi"}, headers=with_key("anna")).json["id"]
    v1 = client.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]}, headers=with_key("anna")
    )
    absent = every_way(client, "A" * 22, "bob")
    assert {status for status, *_ in absent} == {"404 NOT FOUND"}
    assert every_way(client, id, "bob") == absent
    assert every_way(client, v1.headers["x-request-id"], "bob") == absent
    assert every_way(client, "../secret", "anna")[0][0] == "404 NOT FOUND"
    assert client.get(f"/streams/{id}?format=json", headers=with_key("anna")).status_code == 200


def test_an_idempotency_key_is_each_callers_own(client):
    def asked(name):
        return client.post("/streams", json={"prompt": "Hi", "idempotency_key": "k"}, headers=with_key(name)).json[
            "id"
        ]

    assert asked("anna") == asked("anna")
    assert asked("anna") != asked("chief")


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
# What comes before and behind an answer; the connections that two questions take.
AROUND = {
    "interim responses": ([INTERIM, INTERIM], [LAST], 1),
    "more behind the end": ([], [chunk(b"data: {}\n\n") + LAST], 1),
    "no end": ([], [b"5\r\nab"], 2),
    "another answer": ([], [LAST + whole(body=b"{}")], 2),
}


@pytest.mark.parametrize(("before", "behind", "connections"), AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama", "responses"])
def test_one_keys_answer_never_reaches_another_one(make_app, monkeypatch, kind, before, behind, connections):
    """A 103 that is taken for the final response leaves the real one for whoever asks next on that connection."""
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    monkeypatch.setattr(pool, "TAIL", 0.0 if connections > 1 else WAIT)
    door = CONNECTED[kind]()
    for name in ("anna", "bob"):
        said = chunk(door.opening + door.encode(Text(f"{name}'s")) + door.encode(End()))
        door.fake.replies.append([*before, CHUNKED + said, *behind])
    up = UpstreamSettings("up", kind, ("m",), door.fake.address, connect=WAIT)
    client = make_app(keys=(ANNA, BOB), upstreams=(up,)).test_client()
    for name in ("anna", "bob"):
        assert client.post("/chat?format=text", json={"prompt": "x"}, headers=with_key(name)).text == f"{name}'s"
        assert door.fake.over.acquire(timeout=WAIT)
    assert door.fake.connections == connections
    door.close()
