"""Sentences of the wire contract that a first implementation broke."""

from __future__ import annotations

import gevent
import pytest

from millstream.upstreams.demo_text import TEXT

WAIT = 20  # s


@pytest.fixture
def ask(client):
    """Has an answer made to its end; gives its address."""

    def post(model: str) -> str:
        url = client.post("/streams", json={"prompt": "Hi", "model": model}).json["url"]
        with gevent.Timeout(WAIT):
            while client.get(f"{url}?format=json&wait=20&after=0").json["status"] not in ("done", "failed"):
                gevent.sleep(0.01)
        return url

    return post


@pytest.fixture(autouse=True)
def nothing_waits_for_ever():
    with gevent.Timeout(WAIT * 2):
        yield


def test_a_text_resumed_at_the_end_of_a_finished_stream_is_204_and_does_not_hang(client, ask):
    response = client.get(f"{ask('demo?tokens=3')}?after=4&format=text")
    assert (response.status_code, response.data) == (204, b"")


def test_a_text_resumed_at_the_end_of_a_failed_stream_is_its_error(client, ask):
    response = client.get(f"{ask('demo?fault=cut&after=3')}?after=4&format=text")
    assert (response.status_code, response.text) == (502, 'upstream "demo" broke off, as it was asked to.\n')


@pytest.mark.parametrize(
    ("model", "range_", "status", "content_range"),
    [
        ("demo?tokens=0", "bytes=0-", 416, "bytes */0"),
        ("demo?tokens=0", "", 200, None),
        ("demo?tokens=1", "bytes=0-", 206, f"bytes 0-{len(TEXT[0]) - 1}/{len(TEXT[0])}"),
        ("demo?fault=cut&after=1", f"bytes={len(TEXT[0])}-", 502, None),
        ("demo?fault=cut&after=1", "bytes=999-", 502, None),
        ("demo?fault=cut&after=0", "", 502, None),
    ],
)
def test_a_range_of_an_answer_that_has_ended(client, ask, model, range_, status, content_range):
    response = client.get(f"{ask(model)}?format=text", headers={"Range": range_} if range_ else {})
    assert (response.status_code, response.headers.get("Content-Range")) == (status, content_range)


@pytest.mark.parametrize("query", ["padding=16", "after=2"])
def test_the_body_of_a_206_is_what_its_content_range_says(client, ask, query):
    url = ask("demo?tokens=3")
    whole = client.get(url).data
    response = client.get(f"{url}?{query}", headers={"Range": "bytes=2-"})
    assert response.headers["Content-Range"] == f"bytes 2-{len(whole) - 1}/{len(whole)}"
    assert response.data == whole[2:]


@pytest.mark.parametrize("address", ["/chat?prompt=Hi&format=sse", "{url}?format=text", "{url}?format=json"])
def test_head_tells_no_length(client, ask, address):
    response = client.head(address.format(url=ask("demo?tokens=1")))
    assert response.status_code == 200
    assert "Content-Length" not in response.headers
    assert response.headers["Cache-Control"] == "no-store, no-transform"
    assert response.headers["Incremental"] == "?1"


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_a_started_stream_varies_like_its_errors(client, accept):
    for model in ("demo", "unknown"):
        response = client.post("/streams", json={"prompt": "Hi", "model": model}, headers={"Accept": accept})
        assert response.headers["Vary"] == "Accept"


def test_who_waits_for_json_on_a_leaving_worker_is_told_to_try_again(make_app, tmp_path):
    store = f"file:{tmp_path}"
    owner, other = (make_app(store=store).test_client() for _ in range(2))
    question = {"prompt": "Hi", "model": "demo?hold=60"}
    headers = {"Idempotency-Key": "k", "Accept": "application/json"}
    url = owner.post("/streams", json=question, headers=headers).json["url"]
    waiting = gevent.spawn(other.post, "/chat", json=question, headers=headers)
    streams = other.application.extensions["millstream"].streams
    while not streams.followers:
        gevent.sleep(0.01)
    streams.drain()
    response = waiting.get(timeout=WAIT)
    assert (response.status_code, response.json["error"]["code"]) == (503, "draining")
    assert response.headers["Retry-After"]
    assert owner.delete(url).status_code == 204


@pytest.mark.parametrize("address", ["/", "/streams/x?format=html", "{url}?format=html"])
def test_every_page_carries_the_policy(client, ask, address):
    headers = client.get(address.format(url=ask("demo?tokens=1"))).headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("address", ["{url}", "{url}?format=json&after=0", "/streams/x", "/healthz", "/absent"])
def test_what_is_no_page_is_in_no_frame_and_taken_for_nothing_else(client, ask, address):
    headers = client.get(address.format(url=ask("demo?tokens=1"))).headers
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
