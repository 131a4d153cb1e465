"""Whatever door a question comes through, it is held to the same keys, models, limits, presets, and counted alike."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import gevent
import pytest

from millstream.access.keyring import digest
from millstream.events import Usage
from millstream.settings import KeySettings, PresetSettings
from millstream.settings.prices import Price
from millstream.upstreams.demo_text import TEXT
from tests.views.keys import with_key

SAID = [{"role": "user", "content": "Hi"}]
PARTS = [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
DOORS: dict[str, dict[str, Any]] = {
    "/chat": {"messages": SAID},
    "/v1/chat/completions": {"messages": SAID, "stream": True},
    "/v1/messages": {"messages": SAID, "max_tokens": 99, "stream": True},
    "/v1/responses": {"input": "Hi", "stream": True},
    "/api/chat": {"messages": SAID},
    "/api/generate": {"prompt": "Hi"},
    "/ui/chat": {"id": "c", "messages": PARTS},
}
KEY = KeySettings("anna", digest("ms-anna"), models=("demo",))
MODEL = {"model": "demo"}


def code(response):
    """The status, and whether the error has the door's own shape."""
    text = response.text
    if response.content_type.startswith("text/plain"):
        return response.status_code, bool(text) and not text.startswith("{")
    error = json.loads(text)
    return response.status_code, "error" in error


@pytest.mark.parametrize("path", DOORS)
def test_keys_and_their_models(make_app, path):
    client = make_app(keys=(KEY,)).test_client()
    body = DOORS[path]
    assert code(client.post(path, json=body | MODEL)) == (401, True)
    assert code(client.post(path, json=body | MODEL, headers=with_key("nobody"))) == (401, True)
    assert code(client.post(path, json=body | {"model": "other"}, headers=with_key("anna"))) == (403, True)
    assert client.post(path, json=body | MODEL, headers=with_key("anna")).status_code == 200
    assert client.post(path, json=body | MODEL, headers={"x-api-key": "ms-anna"}).status_code == 200


@pytest.mark.parametrize("path", DOORS)
def test_limits(make_app, path):
    client = make_app(keys=(replace_key(requests_per_minute=1, max_prompt=20),)).test_client()
    long = json.loads(json.dumps(DOORS[path]).replace("Hi", "Hi" * 20))
    assert code(client.post(path, json=long | MODEL, headers=with_key("anna"))) == (413, True)
    assert client.post(path, json=DOORS[path] | MODEL, headers=with_key("anna")).status_code == 200
    refused = client.post(path, json=DOORS[path] | MODEL, headers=with_key("anna"))
    assert (code(refused), refused.headers["Retry-After"] != "") == ((429, True), True)


@pytest.mark.parametrize("path", DOORS)
def test_a_budget_is_used_up_through_each_door(make_app, path):
    prices = (Price("demo", Decimal(1), Decimal(1)),)
    client = make_app(prices=prices, budget="0.000001/day").test_client()
    statuses = []
    while 429 not in statuses and len(statuses) < 50:  # it is counted a moment after the end
        response = client.post(path, json=DOORS[path] | MODEL)
        assert response.data
        statuses.append(response.status_code)
        gevent.sleep(0.01)
    assert statuses[0] == 200 and code(response) == (429, True)


def replace_key(**more):
    return KeySettings("anna", digest("ms-anna"), **more)


@pytest.mark.parametrize("path", [path for path in DOORS if path != "/chat"])
def test_a_locked_preset_closes_the_door(make_app, path):
    preset = PresetSettings("house", system="Be kind.", locked=True, default=True)
    assert code(make_app(presets=(preset,)).test_client().post(path, json=DOORS[path] | MODEL)) == (409, True)


def test_the_ledger_and_the_metrics_count_alike(make_app):
    app = make_app(prices=(Price("demo", Decimal(1), Decimal(2)),))
    client = app.test_client()
    rows = []
    app.extensions["millstream"].streams._ends.record = rows.append
    for path, body in DOORS.items():
        for stream in (True, False):
            response = client.post(path, json=body | {"model": "demo?tokens=7", "stream": stream})
            assert response.status_code == 200 and response.data
    asked = rows[0].usage.input
    cost = format(Decimal(asked + 2 * 7) / 10**6, "f")
    assert {(row.model, row.usage, row.cost) for row in rows} == {("demo?tokens=7", Usage(asked, 7), cost)}
    assert len(rows) == 2 * len(DOORS)
    text = client.get("/metrics", headers={"Host": "localhost"}).text
    for door in ("messages", "responses", "ollama", "generate", "ui"):
        assert f'millstream_streams_started_total{{format="{door}",transport="door"' in text


CLEAN = {
    "/chat": '"cancelled"',
    "/v1/messages": "end_turn",
    "/v1/responses": "response.incomplete",
    "/ui/chat": "abort",
}


@pytest.mark.parametrize("path", [*DOORS, "/v1/completions"])
def test_an_answer_is_stopped_at_its_address_and_ends_cleanly(make_app, path):
    app = make_app()
    streams, client = app.extensions["millstream"].streams, app.test_client()
    headers = {"Accept": "text/event-stream"} if path == "/chat" else {}
    body = DOORS.get(path, {"prompt": "Hi", "stream": True}) | {"model": "demo?tokens=100000&pace=50"}
    said = iter(client.post(path, json=body, headers=headers).response)
    came = next(said)
    (id,) = streams.live
    assert app.test_client().post(f"/streams/{id}/stop").status_code == 204
    came += b"".join(said)
    assert CLEAN.get(path, '"done_reason":"stop"' if "/api" in path else "[DONE]") in came.decode()


@pytest.mark.parametrize("path", [*DOORS, "/v1/completions"])
def test_an_answer_is_followed_and_resumed_in_every_format_of_ours(make_app, path):
    app, rows = make_app(), []
    app.extensions["millstream"].streams._ends.record = rows.append
    client = app.test_client()
    assert client.post(path, json=DOORS.get(path, {"prompt": "Hi"}) | {"model": "demo?tokens=2"}).data
    shown = {
        "text": "".join(TEXT[:2]),
        "html": "".join(TEXT[:2]),
        **dict.fromkeys(("sse", "ndjson", "json"), f'"{TEXT[1]}"'),
    }
    for format, words in shown.items():
        assert words in client.get(f"/streams/{rows[0].id}?format={format}").text, format
    rest = client.get(f"/streams/{rows[0].id}?format=sse&after=1").text
    assert f'"{TEXT[0]}"' not in rest and f'"{TEXT[1]}"' in rest
    assert client.get(f"/streams/{rows[0].id}?format=text", headers={"Range": "bytes=1-"}).status_code == 206
