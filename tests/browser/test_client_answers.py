"""What static/millstream.js makes of answers that no good server gives, and of refusals, in four browsers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.stage import Answer, Stage
from tests.browser.test_client import go, wait
from tests.system.nginx import free_port

pytestmark = pytest.mark.browser

ID = "abcdefghijklmnopqrstuv"
SSE = {"Content-Type": "text/event-stream; charset=utf-8"}
REFUSALS = {
    "401": (
        401,
        {},
        b'{"error":{"message":"Sign in.","type":"authentication_error","code":"missing_key","param":null}}',
    ),
    "429": (429, {"Retry-After": "7"}, b'{"error":{"message":"Slow down.","code":"requests"}}'),
    "503": (
        503,
        {"Retry-After": "3"},
        b'{"error":{"message":"Full.","type":"server_error","code":"full","param":null}}',
    ),
    "413": (413, {}, b"<h1>Too large</h1>"),
}


def event(n: int, text: str | None = None) -> bytes:
    if text is None:
        return b'event: done\ndata: {"finish_reason":"stop"}\nid: %b.%d\n\n' % (ID.encode(), n)
    return b"data: %b\nid: %b.%d\n\n" % (json.dumps({"text": text}).encode(), ID.encode(), n)


def start(n: int = 0) -> bytes:
    data = json.dumps({"id": ID, "url": f"/streams/{ID}", "model": "m"}).encode()
    return b": ok\n\nevent: start\ndata: %b\nid: %b.%d\n\n" % (data, ID.encode(), n)


def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
    """The first part of the path says how: /429/chat."""
    how, _, rest = path.lstrip("/").partition("/")
    if how in REFUSALS:
        return REFUSALS[how]
    if how == "gone":
        return 404, {}, b'{"error":{"message":"Gone.","type":"t","code":"stream_not_found","param":null}}'
    if how == "beyond":
        return 400, {}, b'{"error":{"message":"No.","type":"t","code":"bad_position","param":null}}'
    if how == "burst":
        time.sleep(0.3)
        return 200, SSE, start() + event(1, "a") + event(2)
    if how in ("over", "broken"):  # resumed behind its end
        status = "done" if how == "over" else "failed"
        polled = json.dumps({"id": ID, "status": status, "events": [], "last": 9}).encode()
        return (200, {}, polled) if "format=json" in rest else (204, {}, b"")
    if how == "wrong":  # a repeat, then a gap, then half a line glued to another
        parts = {
            "chat": start() + event(1, "a") + event(1, "a") + event(2, "b") + event(4, "d"),
            "after=2": start(2) + event(3, "c") + b'data: {"te' + event(4, "d"),
            "after=3": start(3) + event(4, "d") + event(5),
        }
        if rest.startswith("streams?"):
            return 201, {}, json.dumps({"id": ID, "url": f"/streams/{ID}"}).encode()
        return 200, SSE, next((part for end, part in parts.items() if rest.endswith(end)), parts["chat"])
    return 404, {}, b""


def allowing(method: str, path: str, headers: dict[str, str]) -> Answer:
    """The same for pages of every origin."""
    status, sent, body = (204, {}, b"") if method == "OPTIONS" else answer(method, path, headers)
    cors = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key",
        "Access-Control-Expose-Headers": "content-location, retry-after",
    }
    return status, {**sent, **cors}, body


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(answer) as stage:
        yield stage


def load(browser: Any, stage: Stage) -> None:
    browser.get(f"http://localhost:{stage.port}/")
    browser.execute_script("sessionStorage.clear(); localStorage.clear(); Millstream.limits.retry = 20;")
    stage.asked.clear()


@pytest.mark.parametrize("transport", ["auto", "xhr", "poll"])
def test_a_refusal_is_told_with_its_status_and_asked_once(every_browser: Any, stage: Stage, transport: str) -> None:
    expected = {
        "401": {"message": "Sign in.", "code": "missing_key", "type": "authentication_error", "retryAfter": None},
        "429": {"message": "Slow down.", "code": "requests", "type": "server_error", "retryAfter": 7},
        "503": {"message": "Full.", "code": "full", "type": "server_error", "retryAfter": 3},
        "413": {
            "message": "The answer failed: bad_response.",
            "code": "bad_response",
            "type": "server_error",
            "retryAfter": None,
        },
    }
    for status, says in expected.items():
        load(every_browser, stage)
        go(every_browser, url=f"/{status}/chat", transport=transport)
        seen = wait(every_browser, "seen.end")
        assert seen["end"] == ["failed", {**says, "param": None, "status": int(status), "accepted": False}]
        assert (seen["calls"], seen["retries"], len([1 for asked in stage.asked if asked[0] == "POST"])) == (1, 0, 1)


@pytest.mark.parametrize("transport", ["auto", "eventsource", "poll"])
def test_an_answer_that_is_gone_or_over_is_told_as_such(every_browser: Any, stage: Stage, transport: str) -> None:
    for how, end in {"gone": "failed", "over": "done", "broken": "failed"}.items():
        load(every_browser, stage)
        go(every_browser, url=f"/{how}/chat", resume={"url": f"/{how}/streams/{ID}", "after": 9}, transport=transport)
        seen = wait(every_browser, "seen.end")
        assert (seen["end"][0], seen["text"], seen["calls"]) == (end, "", 1)
        if how == "gone":
            assert (seen["end"][1]["code"], seen["end"][1]["status"]) == ("stream_not_found", 404)


@pytest.mark.parametrize("transport", ["auto", "xhr", "eventsource", "poll"])
def test_an_answer_whose_log_is_behind_is_asked_for_again_and_then_given_up(
    every_browser: Any, stage: Stage, transport: str
) -> None:
    """As after a machine's death, when Redis was away before."""
    load(every_browser, stage)
    place = {"url": f"/beyond/streams/{ID}", "after": 9}
    go(every_browser, url="/beyond/chat", resume=place, transport=transport)
    seen = wait(every_browser, "seen.end")
    assert (seen["end"][0], seen["end"][1]["code"], seen["end"][1]["status"]) == ("failed", "bad_position", 400)
    assert (seen["retries"], seen["calls"], seen["text"]) == (4, 1, "")


@pytest.mark.parametrize("transport", ["auto", "xhr", "eventsource"])
def test_repeats_are_dropped_and_gaps_filled(every_browser: Any, stage: Stage, transport: str) -> None:
    load(every_browser, stage)
    go(every_browser, url="/wrong/chat", transport=transport)
    seen = wait(every_browser, "seen.end")
    assert (seen["text"], seen["end"], seen["calls"]) == ("abcd", ["done", {"finish_reason": "stop"}], 1)
    assert seen["retries"] == 2


def test_a_question_has_a_key_and_the_page_s_own_headers(every_browser: Any, stage: Stage) -> None:
    load(every_browser, stage)
    go(every_browser, url="/wrong/chat", headers={"Authorization": "Bearer abc"}, key="my-key")
    wait(every_browser, "seen.end")
    assert stage.asked[0][2]["idempotency-key"] == "my-key"
    paths = [path for _, path, headers in stage.asked if headers.get("authorization") == "Bearer abc"]
    assert len(paths) == 3  # the question and two resumes


def test_an_answer_in_one_burst_makes_the_next_one_come_another_way(every_browser: Any, stage: Stage) -> None:
    load(every_browser, stage)
    every_browser.execute_script("Millstream.limits.burst = 5000;")
    go(every_browser, url="/burst/chat", transport="auto", resume={"url": f"/burst/streams/{ID}"})
    wait(every_browser, "seen.end")
    assert every_browser.execute_script("return sessionStorage.getItem('millstream.transport');") is None
    every_browser.execute_script("Millstream.limits.burst = 100;")
    go(every_browser, url="/burst/chat", transport="auto", resume={"url": f"/burst/streams/{ID}"})
    first = wait(every_browser, "seen.end")["transports"][0]
    next_ = every_browser.execute_script("return sessionStorage.getItem('millstream.transport');")
    assert (first, next_) in [("fetch", "eventsource"), ("eventsource", "xhr")]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer abc"}])
def test_it_works_on_a_foreign_page(every_browser: Any, stage: Stage, headers: dict[str, str]) -> None:
    with Stage(allowing) as other:
        load(every_browser, stage)
        go(every_browser, url=f"http://localhost:{other.port}/wrong/chat", headers=headers)
        seen = wait(every_browser, "seen.end")
        asked = [sent.get("authorization") for method, _, sent in other.asked if method != "OPTIONS"]
        assert all(f"?via={seen['transports'][0]}" in path for _, path, _ in other.asked)
    assert (seen["text"], seen["end"][0], seen["retries"]) == ("abcd", "done", 2)
    assert set(asked) == {headers.get("Authorization")}


def test_a_server_that_is_away_is_given_up_and_said_so(every_browser: Any, stage: Stage) -> None:
    load(every_browser, stage)
    every_browser.execute_script("Millstream.limits.retries = 3;")
    go(every_browser, url=f"http://localhost:{free_port()}/chat")
    seen = wait(every_browser, "seen.end")
    assert (seen["end"][0], seen["end"][1]["code"], seen["end"][1]["status"]) == ("failed", "connection_lost", 0)
    assert (seen["end"][1]["accepted"], seen["retries"], seen["calls"]) == (None, 3, 1)


@pytest.mark.parametrize("every_browser", ["browser", "firefox"], indirect=True)
def test_where_storage_is_forbidden_the_page_itself_remembers(every_browser: Any, stage: Stage) -> None:
    load(every_browser, stage)
    every_browser.execute_script("""
        ['sessionStorage', 'localStorage'].forEach(function (name) {
          Object.defineProperty(window, name, {get: function () { throw new Error('forbidden'); }});
        });
        Millstream.limits.burst = 100;
    """)
    for way in ("fetch", "eventsource"):
        go(every_browser, url="/burst/chat", resume={"url": f"/burst/streams/{ID}"})
        seen = wait(every_browser, "seen.end")
        assert (seen["transports"], seen["end"][0]) == ([way], "done")


def test_an_unknown_transport_is_refused(every_browser: Any, stage: Stage) -> None:
    load(every_browser, stage)
    script = "try { Millstream.open({transport: 'pigeon'}); } catch (error) { return error.message; }"
    assert every_browser.execute_script(script).startswith('Millstream: transport is "pigeon"; use auto, fetch')
