from __future__ import annotations

import os

import gevent
import pytest

from millstream.access import Caller
from millstream.settings import KeySettings


def test_healthz_and_readyz_answer_without_an_upstream(client):
    assert (client.get("/healthz").json, client.get("/readyz").json) == ({"status": "ok"}, {"status": "ok"})


def test_readyz_says_when_no_more_is_taken(make_app):
    app = make_app(max_streams=1)
    client = app.test_client()
    client.post("/streams", json={"prompt": "x", "model": "demo?hold=30"})
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (503, {"status": "full"})
    refused = client.post("/chat", json={"prompt": "x"})
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "full")
    assert refused.headers["Retry-After"]


def test_readyz_says_while_the_disk_is_full(make_app, tmp_path, monkeypatch):
    client = make_app(store=f"file:{tmp_path}/streams").test_client()
    monkeypatch.setattr(os, "write", lambda fd, data: 10)
    assert client.post("/chat", json={"prompt": "x"}).status_code == 503
    assert [client.get("/readyz").json for _ in range(2)] == [{"status": "store_unavailable"}] * 2
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200
    assert not list(tmp_path.glob("streams/.probe*"))


@pytest.mark.parametrize("limits", [{"tokens_per_day": 5}, {"keys": (KeySettings("a", "0" * 64, streams=1),)}, {}])
def test_readyz_says_while_limits_can_not_be_counted(make_app, tmp_path, monkeypatch, limits):
    monkeypatch.setattr("millstream.limits.sqlite.PAUSE", 0)
    client = make_app(**limits).test_client()
    (tmp_path / "limits.db").mkdir()
    assert client.get("/readyz").status_code == (503 if limits else 200)
    (tmp_path / "limits.db").rmdir()
    assert client.get("/readyz").status_code == 200


def figures(client) -> dict[str, float]:
    text = client.get("/metrics").get_data(as_text=True)
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("millstream_"): float(number) for name, _, number in lines}


def soon(client, name: str) -> float:
    """The figure, as soon as there is one."""
    with gevent.Timeout(30):
        while name not in (counted := figures(client)):
            gevent.sleep(0.05)
    return counted[name]


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1"),
        ({"Via": "1.1 proxy"}, "127.0.0.1"),
        ({"Forwarded": "for=127.0.0.1"}, "127.0.0.1"),
        ({"Host": "example.org"}, "127.0.0.1"),
        ({}, "192.0.2.7"),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/doctor"])
def test_an_open_server_keeps_what_is_the_operators_to_its_own_machine(make_app, headers, peer, path):
    client = make_app(open=True).test_client()
    assert client.get(path, environ_base={"REMOTE_ADDR": "127.0.0.1"}).status_code == 200
    refused = client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "operator_only")


def test_with_keys_only_a_key_marked_so_is_the_operators(app, monkeypatch):
    for operator, status in ((True, 200), (False, 403)):
        caller = Caller("team", KeySettings("team", "0" * 64, operator=operator))
        monkeypatch.setattr(type(app.extensions["millstream"].access), "caller", lambda *_, **__: caller)  # noqa: B023
        assert app.test_client().get("/metrics").status_code == status


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        ({"path": "/chat"}, ("text", "program")),
        ({"path": "/chat", "headers": {"User-Agent": "Mozilla/5.0", "Origin": "http://localhost"}}, ("text", "xhr")),
        ({"path": "/chat?via=xhr", "headers": {"Accept": "text/event-stream"}}, ("sse", "xhr")),
        (
            {"path": "/chat", "headers": {"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"}},
            ("sse", "fetch"),
        ),
        ({"path": "/chat?format=html"}, ("html", "page")),
        ({"path": "/chat?format=json"}, ("json", "whole")),
        ({"path": "/streams"}, ("none", "detached")),
        ({"path": "/streams?via=crowded"}, ("none", "crowded")),
        ({"path": "/streams?via=pigeon"}, ("none", "detached")),
    ],
)
def test_a_question_counts_under_the_way_it_was_asked(client, asked, way):
    with client.post(**asked, data={"prompt": "x"}) as response:
        response.get_data()
    format, transport = way
    counted = figures(client)
    assert counted[f'streams_started_total{{format="{format}",transport="{transport}",upstream="demo"}}'] == 1
    assert sum(number for name, number in counted.items() if name.startswith("responses_open")) == 0


def test_an_event_source_and_the_other_api_count_as_such(client):
    agent = {"Accept": "text/event-stream", "User-Agent": "Mozilla/5.0", "Cache-Control": "no-cache"}
    client.get("/chat?prompt=x", headers={**agent, "Referer": "http://localhost/"}).get_data()
    client.post("/v1/completions", json={"prompt": "x"}).get_data()
    counted = figures(client)
    assert counted['streams_started_total{format="sse",transport="eventsource",upstream="demo"}'] == 1
    assert counted['streams_started_total{format="frames",transport="v1",upstream="demo"}'] == 1


def test_a_question_sent_twice_counts_once(client):
    for _ in range(2):
        client.post("/chat", data={"prompt": "x"}, headers={"Idempotency-Key": "same"}).get_data()
    assert figures(client)['streams_started_total{format="text",transport="program",upstream="demo"}'] == 1


def test_what_is_open_and_who_came_back_is_counted(client):
    asked = {"prompt": "x", "model": "demo?hold_last=60"}
    first = client.post("/chat", data=asked, headers={"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors"})
    url = first.headers["Content-Location"]
    next(first.response)
    again = client.get(f"{url}?format=sse&after=1", buffered=False)
    next(again.response)
    for _ in range(2):
        client.get(f"{url}?format=json&after=1&via=poll")
        client.get(f"{url}?format=json&after=1")
    counted = figures(client)
    assert counted['responses_open{format="sse",transport="fetch"}'] == 1
    assert counted['resumes_total{format="sse",transport="program"}'] == 1
    assert not [name for name in counted if name.startswith("step_downs_total{")]  # none was told
    assert soon(client, 'streams_running{upstream="demo"}') == 1
    client.post(f"{url}/stop")
    again.close()
    first.close()
    assert soon(client, 'cancel_seconds_count{upstream="demo"}') == 1
    counted = figures(client)
    assert counted['responses_open{format="sse",transport="fetch"}'] == 0
    assert counted['streams_ended_total{reason="cancelled",upstream="demo"}'] == 1


@pytest.mark.parametrize(
    ("left", "taken", "counts"),
    [
        ("fetch", "eventsource", 1),
        ("fetch", "poll", 1),
        ("xhr", "poll", 1),
        ("xhr", "eventsource", None),
        ("fetch", "fetch", None),
        ("fetch", "crowded", None),
        ("pigeon", "poll", None),
    ],
)
@pytest.mark.parametrize("on", ["follow", "ask again", "start"])
def test_a_step_down_counts_where_it_is_told(client, left, taken, counts, on):
    same = {"Idempotency-Key": "same"}
    url = client.post(f"/streams?via={left}", json={"prompt": "x"}, headers=same).json["url"]
    told = f"via={taken}&from={left}"
    if on == "follow":
        client.get(f"{url}?{told}&format=json")
    else:
        path = "/chat" if on == "ask again" else "/streams"
        assert client.post(f"{path}?{told}", json={"prompt": "x"}, headers=same).status_code in (200, 201)
    assert figures(client).get(f'step_downs_total{{from="{left}",to="{taken}"}}') == counts


def test_refusals_and_upstreams_errors_are_counted_by_code(client):
    client.post("/chat", data={"prompt": "x", "model": "nobody's"})
    client.post("/chat", data={"prompt": "x", "model": "demo?fault=auth"})
    counted = figures(client)
    assert counted['refused_total{code="model_not_found"}'] == 1
    assert counted['refused_total{code="upstream_auth"}'] == 1
    assert counted['upstream_errors_total{code="upstream_auth",upstream="demo"}'] == 3  # it was tried thrice
