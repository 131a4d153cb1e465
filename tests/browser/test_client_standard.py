"""Millstream.EventSource as https://html.spec.whatwg.org/multipage/server-sent-events.html has it: the interface, its
events and its requests, in four browsers. What the parser reads is in test_client_eventsource.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from tests.browser.stage import Stage
from tests.browser.test_client import wait
from tests.system.clients import until

pytestmark = pytest.mark.browser

STREAM = {"Content-Type": "text/event-stream"}
LATE = threading.Event()  # what is behind /late comes when this is set

# Rows of a name, what runs in the page (it ends with `end(value)`; `open(address)` makes a source), and the value.
# "wpt" has a row for each page subtest of https://github.com/web-platform-tests/wpt/tree/master/eventsource, by its
# subject; where nothing runs, the reason why XMLHttpRequest can't do it. "own": what those don't ask.
TABLE: dict[str, list[tuple[str, str, Any]]] = json.loads(
    Path(__file__).with_name("eventsource.json").read_text("utf-8")
)
CASES = [row for row in TABLE["wpt"] + TABLE["own"] if row[1]]
RUN = """
window.seen = {};
var here = location.protocol + '//' + location.host, there = arguments[1], left = arguments[0].length;
arguments[0].forEach(function (one) {
  var made = [];
  function end(value) {
    if (one.name in seen) return;
    seen[one.name] = value === undefined ? null : value;
    made.forEach(function (source) { source.close(); });
    if (!--left) seen.over = true;
  }
  function Source(url, options) {
    var source = new Millstream.EventSource(url, options);
    made.push(source);
    return source;
  }
  ['CONNECTING', 'OPEN', 'CLOSED'].forEach(function (name) { Source[name] = Millstream.EventSource[name]; });
  Source.prototype = Millstream.EventSource.prototype;
  function open(url) { return new Source(url); }
  function says(url) { open(url).onmessage = function (event) { end(event.data === 'true' || event.data); }; }
  function errors(url) {
    var source = open(url), states = [], data = false;
    source.onerror = function (event) {
      states.push(source.readyState);
      data = 'data' in event;
      setTimeout(function () { end([states, data]); }, 300);
    };
    source.onopen = source.onmessage = function () { end('opened'); };
  }
  function wire(bytes) { return '/wire?' + encodeURIComponent(bytes); }
  function events(bytes, fields) {
    var source = open(wire(bytes)), seen = [];
    function listen(event) {
      seen.push(fields === 1 ? event.data : [event.type, event.data, event.lastEventId]);
    }
    source.addEventListener('message', listen);
    source.addEventListener('test', listen);
    source.onerror = function () { end(seen); };
  }
  function reads(bytes) { events(bytes, 1); }
  function retry(text) {
    var parser = new Millstream.Parser(function () {});
    parser.feed(text);
    return parser.retry;
  }
  function plain(source, type) {
    source['on' + type] = function (event) {
      source.close();
      end([event.type, 'data' in event, event.bubbles, event.cancelable, event.target === source]);
    };
  }
  function framed(then) {
    var frame = document.createElement('iframe');
    frame.onload = function () { then(frame.contentWindow); };
    frame.src = '/?framed'; // no page may hold itself
    document.body.appendChild(frame);
  }
  function last(then) { // when all others have ended
    if (left === 1) then();
    else setTimeout(function () { last(then); }, 10);
  }
  function fail() { end('ran'); }
  try {
    var given = {Source: Source, open: open, end: end, says: says, errors: errors, wire: wire, events: events,
      reads: reads, retry: retry, plain: plain, framed: framed, last: last, here: here, there: there, fail: fail};
    var names = Object.keys(given);
    Function.apply(null, names.concat('var s, a, f, n, o, seen;' + one.run)).apply(null, names.map(function (name) {
      return given[name];
    }));
  } catch (error) { end(String(error)); }
});
"""


def answer(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(path)
    name, query = url.path[1:], url.query
    text, status, sent = "data", 200, dict(STREAM)
    if name == "status":
        status = int(query)
    elif name == "redirect":
        status, sent = int(query), {"Location": "/moved"}
    elif name == "type":
        sent = {"Content-Type": query.replace("%20", " ")}
    elif name == "id":
        last = headers.get("last-event-id", "none").encode("latin-1").decode("utf-8")
        text = f"{last}\nretry: 20\nid: {unquote_to_bytes(query).decode()}"
    elif name == "twice":
        last = headers.get("last-event-id")
        text = "opened\nretry: 20\nid: 1" if last is None else "reconnected\nid: 2"
        status = 204 if last == "2" else 200
    elif name == "cached":
        counted.append(path)
        text = f"{len(counted)} {headers.get('cache-control')}\nretry: 20"
        sent["Cache-Control"] = "max-age=600"
    elif name == "cors":
        sent |= {"Access-Control-Allow-Origin": headers.get("origin", ""), "Access-Control-Allow-Credentials": "true"}
        if query == "redirect":
            status, sent["Location"] = 302, "/cors?moved"
        text = "moved" if query == "moved" else text
    elif name == "bake":
        sent |= {"Access-Control-Allow-Origin": headers.get("origin", ""), "Access-Control-Allow-Credentials": "true"}
        sent["Set-Cookie"] = f"{query}=1"
        baked = "COOKIE" if f"{query}=1" in headers.get("cookie", "") else "NO_COOKIE"
        text = f"{'second' if path in counted else 'first'} {baked}\nretry: 20"
        counted.append(path)
    elif name == "wire":
        return status, sent, unquote_to_bytes(query)
    elif name == "charset":
        text, sent = "…é", {"Content-Type": "text/event-stream;charset=windows-1252"}
    elif name == "late":
        LATE.wait(120)
    else:
        text = {"a": "a", "moved": "moved", "accept": headers.get("accept", ""), "cookie": "true"}.get(name, text)
        text = str("mill=1" in headers.get("cookie", "")).lower() if name == "cookie" else text
    if query in ("recon", "ok") or name == "recon":
        counted.append(path)
        if counted.count(path) == 1:
            return status, sent, b"retry: 20\n\n" + (b"data: ok\n\n" if query == "ok" else b"")
    return status, sent, b"" if status in (204, 205) else f"data: {text}\n\n".encode()


counted: list[str] = []


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(answer) as stage:
        yield stage


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Another origin of the same site: its cookies go along."""
    with Stage(answer) as stage:
        yield f"http://localhost:{stage.port}"


# WebKit 538 doesn't listen to a type told after the headers, and Qt's cache to no request.
UNABLE = {
    "phantomjs": {"format-utf-8: always UTF-8", "request-cache-control: 2"},
    "qtwebkit": {"request-cache-control: 2"},
}
MEANT = ("millstream.js", "Access-Control-Allow-Origin")  # what QtWebKit says of it on its console


def told(browser: Any, condition: str) -> Any:
    """What the page has seen in the end, or when it was to have ended."""
    try:
        return wait(browser, condition)
    except AssertionError:
        return browser.execute_script("return seen")
    except RuntimeError as error:
        if not all(any(word in line for word in MEANT) for line in str(error).splitlines() if line):
            raise
        return told(browser, condition)


def test_it_does_what_the_standard_says(
    every_browser: Any, stage: Stage, elsewhere: str, request: pytest.FixtureRequest
) -> None:
    every_browser.get(f"http://localhost:{stage.port}/")
    counted.clear()
    every_browser.execute_script(RUN, [{"name": name, "run": run} for name, run, _ in CASES], elsewhere)
    seen = told(every_browser, "seen.over")
    unable = UNABLE.get(request.node.callspec.params["every_browser"], set())
    wrong = {
        name: (seen.get(name, "nothing"), value) for name, _, value in CASES if seen.get(name, "nothing") != value
    }
    assert {name: found for name, found in wrong.items() if name not in unable} == {}


def test_nearly_all_of_wpt_is_in_reach() -> None:
    assert len(TABLE["wpt"]) == 79
    assert len([row for row in TABLE["wpt"] if row[1]]) >= 68


# Firefox lets a request go on, and Chromium does so once in five times.
@pytest.mark.parametrize("every_browser", ["qtwebkit"], indirect=True)
def test_a_page_that_was_stopped_asks_no_more(every_browser: Any, stage: Stage) -> None:
    LATE.clear()
    every_browser.get(f"http://localhost:{stage.port}/")
    stage.asked.clear()
    every_browser.execute_script("""
        var source = new Millstream.EventSource('/late');
        window.seen = [];
        source.onopen = source.onmessage = function () { seen.push('came'); };
        source.onerror = function () { seen.push(source.readyState); };
    """)
    try:
        until(lambda: any(path == "/late" for _, path, _ in stage.asked))
        every_browser.execute_script("setTimeout(function () { window.stop(); });")
        assert told(every_browser, "seen.length") == [2]
    finally:
        LATE.set()
