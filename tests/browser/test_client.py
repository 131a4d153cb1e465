"""static/millstream.js on a page of its own, in four browsers, through the real nginx."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.browser.cutter import Cutter
from tests.browser.holder import Holder
from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.nginx import ROOT, Nginx
from tests.system.server import Server

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
WORDS = [f"word{n} " for n in range(24)]
# The tests' own page beside the product's files, so that both have one origin.
PAGE = {"location /static/ {": f"location /tests/ {{ alias {ROOT}/tests/browser/; }}\n        location /static/ {{"}
BUFFERED = {"proxy_buffering off;": "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"}
STREAMS = (b" /chat", b"format=sse")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(WORDS) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def backend(emulator: Emulator) -> Iterator[Server]:
    table = {"emulated": emulator.table}
    with Server(upstreams=table, open=1, trusted_proxies=1) as server:
        yield server


@pytest.fixture(scope="module")
def nginx(backend: Server) -> Iterator[Nginx]:
    with Nginx(backend.port, times=PAGE) as nginx:
        yield nginx


@pytest.fixture
def upstream(emulator: Emulator) -> Iterator[Emulator]:
    """As new for each test: 24 words at once."""
    emulator.tokens, emulator.pace, emulator.gate, emulator.gate_at = WORDS, 0.0, None, -1
    emulator.asked.clear()
    emulator.left = 0
    yield emulator
    if emulator.gate:
        emulator.gate.set()
    emulator.wait(lambda: not emulator.busy)


def load(browser: Any, port: int, fresh: bool = True) -> None:
    browser.get(f"http://localhost:{port}/tests/client.html")
    if fresh:
        browser.execute_script("sessionStorage.clear(); localStorage.clear();")


def go(browser: Any, **options: Any) -> None:
    browser.execute_script("go(arguments[0]);", {"body": {"prompt": "Hi 水"}, **options})


def wait(browser: Any, condition: str) -> dict[str, Any]:
    """What the page has seen, once the condition holds for it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        if seen := browser.execute_script(f"return ({condition}) ? seen : null;"):
            return seen
        time.sleep(0.01)
    raise AssertionError(f"not {condition}: {browser.execute_script('return seen;')}")


def assert_whole(seen: dict[str, Any], upstream: Emulator, text: str) -> None:
    assert seen["text"] == text
    assert (seen["end"][0], seen["end"][1]["finish_reason"], seen["calls"]) == ("done", "stop", 1)
    assert len(seen["starts"]) == 1
    assert len(upstream.asked) == 1


def assert_word_by_word(browser: Any, upstream: Emulator, turns: InTurn) -> dict[str, Any]:
    """Each word is on the page before the upstream writes the next."""
    for n in range(1, len(WORDS) + 1):
        wait(browser, f"document.getElementById('answer').textContent === {''.join(WORDS[:n])!r}")
        turns.seen()
    seen = wait(browser, "seen.end")
    assert_whole(seen, upstream, "".join(WORDS))
    return seen


@pytest.mark.parametrize("transport", ["auto", "fetch", "eventsource", "xhr", "poll"])
def test_each_word_is_shown_before_the_next_is_written(
    every_browser: Any, nginx: Nginx, upstream: Emulator, transport: str
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    load(every_browser, nginx.port)
    every_browser.execute_script("Millstream.limits.pause = 5;")
    go(every_browser, transport=transport)
    seen = assert_word_by_word(every_browser, upstream, turns)
    streams = every_browser.execute_script("return 'body' in (window.Response || function () {}).prototype;")
    best = "fetch" if streams else "eventsource"
    assert seen["transports"] == [best if transport in ("auto", "fetch") else transport]


def test_stop_ends_the_upstream_and_keeps_what_came(every_browser: Any, nginx: Nginx, upstream: Emulator) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 5
    load(every_browser, nginx.port)
    go(every_browser)
    wait(every_browser, "seen.text.indexOf('word4 ') > 0")
    every_browser.execute_script("stream.stop();")
    seen = wait(every_browser, "seen.end")
    assert (seen["end"][0], seen["end"][1]["finish_reason"]) == ("done", "cancelled")
    assert seen["text"] == "".join(WORDS[:5])
    assert upstream.wait(lambda: upstream.left == 1)


def test_stop_before_the_first_word_counts_too(every_browser: Any, nginx: Nginx, upstream: Emulator) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 0
    load(every_browser, nginx.port)
    go(every_browser)
    every_browser.execute_script("stream.stop();")
    seen = wait(every_browser, "seen.end")
    assert (seen["text"], seen["end"][1]["finish_reason"]) == ("", "cancelled")
    assert upstream.wait(lambda: upstream.left == len(upstream.asked) <= 1)


def test_a_reloaded_page_goes_on_with_the_answer(every_browser: Any, nginx: Nginx, upstream: Emulator) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 7
    load(every_browser, nginx.port)
    go(every_browser)
    wait(every_browser, "seen.text.indexOf('word6 ') > 0")
    place = every_browser.execute_script("return {url: stream.url, after: stream.after};")
    load(every_browser, nginx.port, fresh=False)
    go(every_browser, resume=place)
    wait(every_browser, "seen.starts.length")
    upstream.gate.set()
    assert_whole(wait(every_browser, "seen.end"), upstream, "".join(WORDS[7:]))


@pytest.mark.parametrize("transport", ["auto", "xhr"])
def test_a_cut_connection_goes_on_where_it_was_cut(
    every_browser: Any, nginx: Nginx, upstream: Emulator, transport: str
) -> None:
    upstream.tokens = [*WORDS[:8], "水车 ", *WORDS[8:]]
    upstream.pace = 0.005
    places = [
        b"event: start\n",
        b'data: {"text":"word3',  # inside an event
        b'data: {"text":"' + "水".encode()[:2],  # inside a character
        b'"word15 "}\nid: ',
        b"event: done",
    ]
    with Cutter(nginx.port, places, asking=STREAMS) as cutter:
        load(every_browser, cutter.port)
        go(every_browser, transport=transport)
        seen = wait(every_browser, "seen.end")
    assert (cutter.cut, seen["retries"]) == (5, 5)
    assert 1 <= seen["backs"] <= 5  # Chromium may drop a `start` that came in one piece with the cut
    assert_whole(seen, upstream, "".join(upstream.tokens))


def test_words_come_one_by_one_through_a_proxy_that_withholds(
    every_browser: Any, nginx: Nginx, upstream: Emulator
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    with Holder(nginx.port) as holder:
        load(every_browser, holder.port)
        every_browser.execute_script("Millstream.limits.start = 1000; Millstream.limits.pause = 5;")
        go(every_browser)
        seen = assert_word_by_word(every_browser, upstream, turns)
        assert (len(seen["transports"]), seen["transports"][-1], seen["retries"]) == (3, "poll", 0)
        upstream.tokens = WORDS
        go(every_browser)  # what was found out is remembered
        assert wait(every_browser, "seen.end")["transports"] == ["poll"]


def test_words_come_one_by_one_through_an_nginx_that_buffers(
    browser: Chrome, backend: Server, upstream: Emulator
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    with Nginx(backend.port, times={**PAGE, **BUFFERED}) as buffering:
        load(browser, buffering.port)
        browser.execute_script("Millstream.limits.pause = 5;")
        go(browser)
        seen = assert_word_by_word(browser, upstream, turns)
    assert (seen["transports"], seen["retries"]) == (["fetch", "eventsource", "poll"], 0)
