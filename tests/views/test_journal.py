"""One line for each request, and what is never in it."""

from __future__ import annotations

import json
import logging

import gevent
import pytest

from millstream.streams import Row
from millstream.views.journal import Line, Unheard, _text
from tests.usage.samples import row

WAIT = 20  # s


@pytest.fixture
def lines(caplog):
    """What the log says so far of requests, or of `ended` streams. A response is over once it is closed; `buffered`
    ones are."""
    caplog.set_level(logging.INFO, "millstream.requests")

    def lines(ended: bool = False) -> list[dict]:
        said = [record.getMessage() for record in caplog.records if record.name == "millstream.requests"]
        assert all("\n" not in line and "\r" not in line for line in said)
        return [line for line in map(json.loads, said) if ("method" not in line) == ended]

    return lines


def test_a_streamed_answers_line_comes_when_it_is_over_and_says_what_it_was(client, lines):
    with client.post("/chat", json={"prompt": "secret"}, headers={"Accept": "text/event-stream"}) as response:
        assert lines() == []
        body = response.get_data()
    (line,) = lines()
    assert line.pop("ms") >= line.pop("first_token_ms") > 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "method": "POST",
        "route": "/chat",
        "status": 200,
        "format": "text/event-stream",
        "key": "anyone",
        "id": response.headers["Content-Location"].rpartition("/")[2],
        "input": line["input"],
        "output": 20,
        "source": "upstream",
        "bytes": len(body),
        "end": "stop",
        "upstream": "demo",
    }


@pytest.mark.parametrize("accept", ["text/plain", "application/x-ndjson", "text/html", "application/json"])
def test_each_format_has_its_tokens_and_bytes(client, lines, accept):
    body = client.post("/chat", json={"prompt": "x"}, headers={"Accept": accept}, buffered=True).get_data()
    (line,) = lines()
    assert (line["format"], line["output"], line["bytes"], line["end"]) == (accept, 20, len(body), "stop")
    assert line["first_token_ms"] > 0


@pytest.mark.parametrize("stream", [True, False])
def test_openais_api_has_them_too(client, lines, stream):
    body = {"messages": [{"role": "user", "content": "x"}], "stream": stream}
    response = client.post("/v1/chat/completions", json=body, buffered=True)
    data = response.get_data()
    (line,) = lines()
    assert (line["route"], line["output"], line["bytes"], line["end"]) == (
        "/v1/chat/completions",
        20,
        len(data),
        "stop",
    )
    assert line["id"] == response.headers["x-request-id"]


def test_a_failure_has_its_code(client, lines):
    for accept in ("application/json", "text/event-stream"):
        model = "demo?fault=cut&after=2"
        client.post(
            "/chat", json={"prompt": "x", "model": model}, headers={"Accept": accept}, buffered=True
        ).get_data()
    assert [(line["status"], line["end"], line["output"], line["source"]) for line in lines()] == [
        (502, "upstream_broke", 2, "estimated"),
        (200, "upstream_broke", 2, "estimated"),
    ]


def test_a_refused_question_has_its_code_and_its_upstream(client, lines):
    for model in ("none", "demo?fault=auth"):
        client.post("/chat", json={"prompt": "x", "model": model}, buffered=True)
    said = [(line["status"], line["code"], line.get("upstream")) for line in lines()]
    assert said == [(404, "model_not_found", None), (502, "upstream_auth", "demo")]


@pytest.mark.parametrize(("level", "count"), [(logging.INFO, 1), (logging.DEBUG, 3)])
def test_the_files_of_a_page_are_for_debugging(client, caplog, lines, level, count):
    caplog.set_level(level, "millstream.requests")
    for path in ("/", "/static/millstream.js", "/static/page.css"):
        client.get(path, buffered=True).get_data()
    assert len(lines()) == count


def test_a_client_that_left_has_a_line_and_the_stream_that_nobody_heard_the_end_of_another(make_app, lines):
    client = make_app(grace=0).test_client()
    response = client.post("/chat", json={"prompt": "x", "model": "demo?hold=60"})
    next(response.iter_encoded())
    response.close()
    with gevent.Timeout(WAIT):
        # Streams that other tests left behind may end now.
        while not (ended := [line for line in lines(ended=True) if line["end"] == "abandoned"]):
            gevent.sleep(0.01)
    (asked,), (ended,) = lines(), ended
    assert asked["end"] == "left"
    assert asked["id"] == ended["id"]
    assert (ended["source"], ended["output"]) == ("estimated", 0)


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/healthz?key=secret", 200, "/healthz"),
        ("HEAD", "/", 200, "/"),
        ("GET", "/static/page.css", 200, "/static/<path:filename>"),
        ("GET", "/secret%0d%0a{}", 404, None),
        ("GET", "/streams/secret-secret-secret1?after=secret", 400, "/streams/<id>"),
        ("POST", "/chat?prompt=secret&model=secret", 404, "/chat"),
        ("DELETE", "/", 405, None),
        ("GET", "/v1/models/secret", 404, "/v1/models/<path:id>"),
    ],
)
def test_every_request_has_one_line_that_holds_nothing_of_the_clients(
    client, lines, caplog, method, path, status, route
):
    headers = {
        "User-Agent": "secret",
        "Referer": "http://localhost/secret",
        "Idempotency-Key": "secret",
        "Accept": "*/*",
    }
    caplog.set_level(logging.DEBUG, "millstream.requests")
    client.open(path, method=method, headers=headers, buffered=True).get_data()
    (line,) = lines()
    assert (line["method"], line["status"], line.get("route")) == (method, status, route)
    assert isinstance(line["bytes"], int)
    assert "secret" not in caplog.text


def test_the_line_for_people_is_one_readable_line(make_app, caplog):
    caplog.set_level(logging.INFO, "millstream.requests")
    client = make_app(log="text").test_client()
    client.post("/chat", json={"prompt": "x"}, headers={"Accept": "text/plain"}, buffered=True).get_data()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "millstream.requests"]
    assert " POST /chat 200 text/plain anyone " in said
    assert "+20 tokens first after " in said
    assert said.endswith(" bytes stop")


def test_line_ends_forge_no_line(caplog):
    caplog.set_level(logging.INFO, "millstream.requests")
    for end in ("\r\n", "\n", "\x1b[2J", "\u2028"):
        _text(Line("now", method=f"GET{end}forged"))
        Unheard("json").record(forged(end))
    assert len(caplog.records) == 8
    for record in caplog.records:
        said = record.getMessage()
        assert "\n" not in said
        assert "\r" not in said
        assert "\x1b" not in said


def forged(end: str) -> Row:
    return row(f"id{end}forged", caller=f"me{end}", reason=f"stop{end}")
