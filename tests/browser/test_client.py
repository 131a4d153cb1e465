"""static/millstream.js on a page of its own, in four browsers, through the real nginx."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.browser.cutter import Cutter
from tests.browser.holder import Holder
from tests.system.clients import until
from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.nginx import ROOT, Nginx
from tests.system.server import Server

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
WORDS = [f"word{n} " for n in range(24)]
# The tests' own page beside the product's files, so that both have one origin.
PAGE = {"location /static/ {": f"location /tests/ {{ alias {ROOT}/tests/browser/; }}\n        location /static/ {{"}
# nginx's own default is 1.0, too: of a response in chunks it passes each on even so.
BUFFERED = {
    "proxy_buffering off;": "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
    "proxy_http_version 1.1;": "proxy_http_version 1.0;",
}
STREAMS = (b" /chat", b"format=sse")


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
def upstream(upstream: Emulator) -> Emulator:
    upstream.tokens = WORDS
    return upstream


def load(browser: Any, port: int, fresh: bool = True) -> None:
    browser.get(f"http://localhost:{port}/tests/client.html")
    if fresh:
        browser.execute_script("sessionStorage.clear(); localStorage.clear();")
    browser.execute_script("Millstream.limits.retry = 20; Millstream.limits.pause = 5;")


def go(browser: Any, **options: Any) -> None:
    browser.execute_script("go(arguments[0]);", {"body": {"prompt": "Hi 水"}, **options})


def wait(browser: Any, condition: str) -> dict[str, Any]:
    """What the page has seen, once the condition holds for it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        seen = browser.execute_script(f"return ({condition}) ? seen : null;")
        if seen is not None:
            return seen
        time.sleep(0.01)
    raise AssertionError(f"not {condition}: {browser.execute_script('return seen;')}")


def counted(backend: Server, metric: str) -> Counter[str]:
    """The metric's figures by their labels."""
    found = re.findall(rf"^millstream_{metric}_total{{(.*)}} (.*)$", backend.get("/metrics")[1].decode(), re.M)
    return Counter({labels: int(float(number)) for labels, number in found})


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


@pytest.mark.parametrize("transport", ["fetch", "eventsource", "xhr", "poll"])
def test_each_word_is_shown_before_the_next_is_written(
    every_browser: Any, backend: Server, nginx: Nginx, upstream: Emulator, transport: str
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    begun = counted(backend, "streams_started")
    load(every_browser, nginx.port)
    go(every_browser, transport=transport)
    seen = assert_word_by_word(every_browser, upstream, turns)
    assert f'transport="{seen["transports"][0]}"' in "".join(counted(backend, "streams_started") - begun)
    streams = every_browser.execute_script("return 'body' in (window.Response || function () {}).prototype;")
    # A browser that can't stream a fetch takes what it takes by itself.
    assert seen["transports"] == ["eventsource" if transport == "fetch" and not streams else transport]


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
        b"event: done",
    ]
    with Cutter(nginx.port, places, asking=STREAMS) as cutter:
        load(every_browser, cutter.port)
        # On a busy machine `start` may take seconds: no polling instead, which nothing cuts.
        every_browser.execute_script("Millstream.limits.start = Millstream.limits.beside = 60000;")
        go(every_browser, transport=transport)
        seen = wait(every_browser, "seen.end")
    assert (cutter.cut, seen["retries"]) == (4, 4)
    assert 1 <= seen["backs"] <= 4  # Chromium may drop a `start` that came in one piece with the cut
    assert_whole(seen, upstream, "".join(upstream.tokens))


def test_words_come_one_by_one_through_a_proxy_that_withholds(
    every_browser: Any, nginx: Nginx, upstream: Emulator
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    with Holder(nginx.port) as holder:
        load(every_browser, holder.port)
        every_browser.execute_script("Millstream.limits.start = 500;")
        go(every_browser)
        seen = assert_word_by_word(every_browser, upstream, turns)
        assert (len(seen["transports"]), seen["transports"][-1], seen["retries"]) == (3, "poll", 0)
        upstream.tokens = WORDS
        go(every_browser)  # what was found out is remembered
        assert wait(every_browser, "seen.end")["transports"] == ["poll"]


def test_a_first_answer_is_polled_beside_a_way_that_shows_nothing(
    every_browser: Any, nginx: Nginx, upstream: Emulator
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    with Holder(nginx.port) as holder:
        load(every_browser, holder.port)
        every_browser.execute_script("Millstream.limits.start = 90000; Millstream.limits.beside = 300;")
        go(every_browser)
        seen = assert_word_by_word(every_browser, upstream, turns)
        assert (len(seen["transports"]), seen["retries"], len(seen["starts"])) == (1, 0, 1)
        upstream.tokens = WORDS
        go(every_browser)
        assert wait(every_browser, "seen.end")["transports"] != seen["transports"]


def test_words_come_one_by_one_through_an_nginx_that_buffers(
    browser: Chrome, backend: Server, upstream: Emulator
) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    before = counted(backend, "step_downs")
    with Nginx(backend.port, times={**PAGE, **BUFFERED}) as buffering:
        load(browser, buffering.port)
        browser.execute_script("Millstream.limits.start = 500;")
        go(browser)
        seen = assert_word_by_word(browser, upstream, turns)
    assert (seen["transports"], seen["retries"]) == (["fetch", "eventsource", "poll"], 0)
    steps = ['from="fetch",to="eventsource"', 'from="eventsource",to="poll"']
    assert counted(backend, "step_downs") - before == Counter(steps)


OTHERS = """
window.others = [];
while (others.length < arguments[0]) others.push(Millstream.open({body: {prompt: 'Hi'}}));
"""
HELD = "others.every(function (other) { return other.after === 3; })"


def test_over_http_1_the_sixth_stream_of_all_tabs_is_polled_and_starves_nobody(
    browser: Chrome, backend: Server, nginx: Nginx, upstream: Emulator
) -> None:
    begun, steps = (counted(backend, metric) for metric in ("streams_started", "step_downs"))
    upstream.gate, upstream.gate_at = threading.Event(), 3
    first, opened = browser.current_window_handle, "seen.text.indexOf('word2 ') > 0"
    load(browser, nginx.port)
    browser.execute_script(OTHERS, 4)
    go(browser)
    wait(browser, f"{HELD} && {opened}")
    browser.switch_to.new_window("tab")
    try:
        load(browser, nginx.port, fresh=False)
        go(browser)
        assert wait(browser, opened)["transports"] == ["poll"]
        browser.execute_script("stream.stop();")  # for which a connection is left
        assert wait(browser, "seen.end")["end"][1]["finish_reason"] == "cancelled"
        go(browser)
        wait(browser, opened)
        upstream.gate.set()
        assert wait(browser, "seen.end")["text"] == upstream.text
    finally:
        browser.close()
        browser.switch_to.window(first)
    wait(browser, "seen.end && others.every(function (other) { return other.state === 'done'; })")
    go(browser)  # all have let go
    assert wait(browser, "seen.end")["transports"] == ["fetch"]
    ways = counted(backend, "streams_started") - begun
    assert sorted(number for labels, number in ways.items() if "crowded" in labels or "fetch" in labels) == [2, 6]
    assert counted(backend, "step_downs") == steps  # nothing is wrong with the way


def test_over_http_2_all_streams_are_held(browser: Chrome, backend: Server, upstream: Emulator) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 3
    browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
    try:
        with Nginx(backend.port, tls=True, times=PAGE) as secure:
            browser.get(f"https://localhost:{secure.tls_port}/tests/client.html")
            browser.execute_script(OTHERS, 6)
            go(browser)
            seen = wait(browser, f"{HELD} && seen.text.indexOf('word2 ') > 0")
            upstream.gate.set()
            wait(browser, "seen.end && others.every(function (other) { return other.state === 'done'; })")
    finally:
        browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": False})
    assert seen["transports"] == ["fetch"]
    assert browser.execute_script("return others.map(function (other) { return other.transport; });") == ["fetch"] * 6


def test_an_answer_may_take_longer_than_the_longest_silence(
    browser: Chrome, nginx: Nginx, upstream: Emulator
) -> None:
    upstream.pace = 0.06
    load(browser, nginx.port)
    browser.execute_script("Millstream.limits.silence = 1000;")
    go(browser)
    assert wait(browser, "seen.end")["transports"] == ["fetch"]


def test_silence_on_the_way_is_noticed_and_the_answer_goes_on(
    browser: Chrome, nginx: Nginx, upstream: Emulator
) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 3
    load(browser, nginx.port)
    browser.execute_script("Millstream.limits.silence = 300;")
    go(browser)
    wait(browser, "seen.transports.length === 2")  # an EventSource shows no heartbeats, and is only renewed
    upstream.gate.set()
    seen = wait(browser, "seen.end")
    assert (seen["transports"], seen["retries"]) == (["fetch", "eventsource"], 0)
    assert_whole(seen, upstream, upstream.text)


def test_an_xhr_is_renewed_before_its_text_grows_large(every_browser: Any, nginx: Nginx, upstream: Emulator) -> None:
    upstream.tokens = turns = InTurn(WORDS)
    load(every_browser, nginx.port)
    every_browser.execute_script("Millstream.limits.renew = 400;")
    go(every_browser, transport="xhr")
    seen = assert_word_by_word(every_browser, upstream, turns)
    assert seen["retries"] == 0
    renewed = f"GET /streams/{seen['starts'][0]['id']}"
    until(lambda: nginx.access_log().count(renewed) > 1)  # nginx writes a line after the last byte
