"""Millstream.EventSource in four browsers, as the standard has it: what it reads, when it comes back or gives up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.stage import Stage
from tests.browser.test_client import wait
from tests.system.nginx import ROOT

pytestmark = pytest.mark.browser

CASES = json.loads((ROOT / "tests/wire/sse/standard.json").read_text("utf-8"))
STREAM = {"Content-Type": "text/event-stream"}
# Listens to each address until its first error; onerror closes unless it has to come back.
LISTEN = """
window.seen = arguments[0].map(function (address) {
  var source = new Millstream.EventSource(address), seen = {opened: 0, events: [], errors: []};
  source.onopen = function () { seen.opened++; };
  source.onmessage = function (event) { seen.events.push([event.type, event.data, event.lastEventId]); };
  ['done', 'b'].forEach(function (type) { source.addEventListener(type, source.onmessage); });
  source.onerror = function () {
    seen.errors.push(source.readyState);
    if (!arguments[1]) source.close();
  };
  return seen;
});
"""
ONCE = LISTEN.replace("!arguments[1]", "true")
COMING_BACK = LISTEN.replace("!arguments[1]", "false")
ENDED = "seen.every(function (one) { return one.errors.length; })"


def answer(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    name, _, argument = path.lstrip("/").partition("/")
    if name == "case":
        return 200, STREAM, CASES[int(argument)]["bytes"].encode("latin-1")
    if name == "resumed":
        parts = {
            None: b"retry: 20\ndata: a\nid: 1\n\nid: 2\n\nid: 3\ndata: cut",
            "2": b"data: b\n\nid: 4\x005\ndata: c\n\nid: 9\ndata: d\n\n",
        }
        last = headers.get("last-event-id")
        return (200, STREAM, parts[last]) if last in parts else (204, {}, b"")
    answers = {
        "charset": (200, {"Content-Type": "Text/Event-Stream; charset=windows-1251"}, "data: 水é\n\n".encode()),
        "404": (404, STREAM, b"data: no\n\n"),
        "503": (503, STREAM, b"data: no\n\n"),
        "plain": (200, {"Content-Type": "text/plain"}, b"data: no\n\n"),
        "nothing": (200, {}, b"data: no\n\n"),
    }
    return answers[name]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(answer) as stage:
        yield stage


def listen(browser: Any, stage: Stage, script: str, *addresses: str) -> None:
    browser.get(f"http://localhost:{stage.port}/")
    stage.asked.clear()
    browser.execute_script(script, list(addresses))


def test_it_reads_what_the_standard_reads(every_browser: Any, stage: Stage) -> None:
    listen(every_browser, stage, ONCE, *(f"/case/{number}" for number in range(len(CASES))))
    for case, seen in zip(CASES, wait(every_browser, ENDED), strict=True):
        expected = [[event["type"], event["data"], event["id"]] for event in case["events"]]
        # WebKit 538 makes one U+FFFD of each broken byte.
        events = [[type_, re.sub("\ufffd+", "\ufffd", data), id_] for type_, data, id_ in seen["events"]]
        assert (case["name"], events) == (case["name"], expected)
        assert (seen["opened"], seen["errors"]) == (1, [0])


@pytest.mark.parametrize(
    "every_browser", ["browser", "firefox", "qtwebkit"], indirect=True
)  # WebKit 538 takes the header's
def test_it_reads_utf_8_whatever_the_server_says(every_browser: Any, stage: Stage) -> None:
    listen(every_browser, stage, ONCE, "/charset")
    assert wait(every_browser, ENDED)[0]["events"] == [["message", "水é", ""]]


def test_it_comes_back_with_the_id_of_the_last_whole_event(every_browser: Any, stage: Stage) -> None:
    listen(every_browser, stage, COMING_BACK, "/resumed")
    seen = wait(every_browser, "seen[0].errors.length === 3")[0]
    message = [["a", "1"], ["b", "2"], ["c", "2"], ["d", "9"]]
    assert seen == {"opened": 2, "events": [["message", *rest] for rest in message], "errors": [0, 0, 2]}
    sent = [headers for _, path, headers in stage.asked if path == "/resumed"]
    assert [headers.get("last-event-id") for headers in sent] == [None, "2", "9"]
    assert {headers["accept"] for headers in sent} == {"text/event-stream"}


def test_what_is_no_event_stream_is_given_up(every_browser: Any, stage: Stage) -> None:
    listen(every_browser, stage, COMING_BACK, "/404", "/503", "/plain", "/nothing")
    for seen in wait(every_browser, ENDED):
        assert seen == {"opened": 0, "events": [], "errors": [2]}
    assert sorted(path for _, path, _ in stage.asked if path != "/favicon.ico") == [
        "/404",
        "/503",
        "/nothing",
        "/plain",
    ]


def test_a_closed_one_says_nothing_any_more(every_browser: Any, stage: Stage) -> None:
    listen(every_browser, stage, ONCE)
    every_browser.execute_script("""
        var source = new Millstream.EventSource('/case/5');
        window.seen = [];
        source.onmessage = function (event) {
          var late;
          seen.push(event.data);
          source.close();
          late = new Millstream.EventSource('/case/5'); // by its end, the first one's has come
          late.onerror = function () { late.close(); seen.over = true; };
        };
        source.onerror = function () { seen.push('error'); };
    """)
    assert wait(every_browser, "seen.over") == [""]
    assert every_browser.execute_script(
        "return [Millstream.EventSource.CLOSED, new Millstream.EventSource('/404').OPEN]"
    ) == [2, 1]
