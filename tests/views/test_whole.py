"""Answers that are given whole: their status, and white space where they take long."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from millstream.errors import PUBLIC
from tests.views.conftest import DEMO
from tests.views.keys import KEYS, with_key

HI = [{"role": "user", "content": "Hi"}]
DOORS = [
    ("/chat?format=json", {"prompt": "Hi"}, lambda said: said["text"]),
    ("/v1/chat/completions", {"messages": HI}, lambda said: said["choices"][0]["message"]["content"]),
    ("/v1/completions", {"prompt": "Hi"}, lambda said: said["choices"][0]["text"]),
    ("/v1/messages", {"messages": HI, "max_tokens": 99}, lambda said: said["content"][0]["text"]),
    ("/v1/responses", {"input": "Hi"}, lambda said: said["output"][0]["content"][0]["text"]),
    ("/api/chat", {"messages": HI, "stream": False}, lambda said: said["message"]["content"]),
]
every_door = pytest.mark.parametrize(("path", "body", "text_of"), DOORS, ids=[path for path, *_ in DOORS])


@pytest.fixture
def client(make_app):
    return make_app(heartbeat=0.1, upstreams=(replace(DEMO, retries=0),)).test_client()


@every_door
@pytest.mark.parametrize("slow", ["hold=0.5&pace=100000", "hold_last=0.5", "pace=40"])  # silent, or not
def test_white_space_keeps_the_way_open_until_the_answer_is_whole(client, path, body, text_of, slow):
    response = client.post(path, json={**body, "model": f"demo?tokens=20&{slow}"})
    assert (response.status_code, response.mimetype) == (200, "application/json")
    white = len(response.data) - len(response.data.lstrip())
    assert 2 <= white <= 6
    assert len(text_of(json.loads(response.data)).split()) > 10


@every_door
def test_a_quick_answer_has_its_length_and_a_quick_failure_its_status(client, path, body, text_of):
    response = client.post(path, json={**body, "model": "demo?pace=100000"})
    assert response.content_length == len(response.data) and text_of(response.json)
    failed = client.post(path, json={**body, "model": "demo?pace=100000&fault=cut&after=2"})
    assert failed.status_code == 502


@every_door
def test_the_status_is_awaited_and_a_late_failure_is_told_in_the_body(client, path, body, text_of):
    refused = client.post(path, json={**body, "model": "demo?slow_headers=0.4&fault=refuse"})
    assert refused.status_code == 502 and not refused.data.startswith(b" ")
    late = client.post(path, json={**body, "model": "demo?pace=10&fault=cut&after=5"})
    assert late.status_code == 200 and late.data.startswith(b" ")
    assert "error" in json.loads(late.data)


@every_door
@pytest.mark.parametrize(("key", "told"), [("anna", False), ("chief", True)])
def test_a_late_failure_says_to_operators_alone_what_is_theirs(make_app, path, body, text_of, key, told):
    client = make_app(heartbeat=0.1, keys=KEYS).test_client()
    late = client.post(path, json={**body, "model": "demo?pace=10&fault=cut&after=5"}, headers=with_key(key))
    assert late.data.startswith(b" ")
    assert ("as it was asked to" in late.text, PUBLIC["upstream_broke"] in late.text) == (told, not told)
