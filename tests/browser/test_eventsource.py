"""A bare `new EventSource("/chat?prompt=…")` in Chromium, whole and cut."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.cutter import Cutter
from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.server import Server

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
LISTEN = """
window.seen = {starts: [], text: "", numbers: [], end: null};
const source = new EventSource(arguments[0]);
const number = event => Number(event.lastEventId.split(".")[1]);
source.addEventListener("start", event => seen.starts.push(number(event)));
source.onmessage = event => { seen.text += JSON.parse(event.data).text; seen.numbers.push(number(event)); };
for (const type of ["done", "failed"])
  source.addEventListener(type, event => {
    source.close();
    seen.numbers.push(number(event));
    seen.end = [type, JSON.parse(event.data)];
  });
"""


def listen(browser: Chrome, port: int, path: str = "/chat?prompt=Hi") -> None:
    browser.get(f"http://localhost:{port}/healthz")  # any page of this origin
    browser.execute_script(LISTEN, path)


def wait(browser: Chrome, condition: str) -> dict:
    """What the page has seen, once the condition holds for it."""
    waiting = WebDriverWait(browser, DEADLINE, poll_frequency=0.01)
    return waiting.until(lambda browser: browser.execute_script(f"return {condition} ? seen : null"))


def assert_whole(seen: dict, upstream: Emulator, text: str) -> None:
    assert seen["text"] == text
    assert seen["numbers"] == list(range(1, len(upstream.tokens) + 2))
    assert seen["end"][0] == "done"
    assert len(upstream.asked) == 1


def test_each_token_is_a_message_seen_before_the_next_is_written(
    browser: Chrome, server: Server, upstream: Emulator
) -> None:
    words = upstream.tokens
    upstream.tokens = turns = InTurn(words)
    listen(browser, server.port)
    for n in range(1, len(words) + 1):
        wait(browser, f"seen.numbers.length >= {n}")
        turns.seen()
    seen = wait(browser, "seen.end")
    assert seen["starts"] == [0]
    assert_whole(seen, upstream, "".join(words))


@pytest.mark.parametrize(
    ("places", "starts"),
    [
        ([b".0\n\n"], [0, 0]),  # the end of the event `start`
        ([b'"word3 "}\nid: '], [0, 3]),
        ([b'data: {"text":"word7'], [0, 7]),
        ([b".0\n\n", b'"word5 "', b".20\n\n", b"event: done"], [0, 0, 5, 20, 30]),
    ],
)
def test_a_cut_stream_is_resumed_and_asked_for_once(
    browser: Chrome, server: Server, upstream: Emulator, places: list[bytes], starts: list[int]
) -> None:
    upstream.pace = 0.01
    # A body that breaks off: Chromium's loader drops what has come and the page has not read yet
    # (ResponseBodyLoader::Abort), and then rightly goes on from an earlier event. So the page reads first.
    with Cutter(server.port, places, held=True) as cutter:
        listen(browser, cutter.port)
        for connection, number in enumerate(starts[1:], 1):
            wait(browser, f"seen.starts.length === {connection} && seen.numbers.length >= {number}")
            cutter.close_next()
        seen = wait(browser, "seen.end")
    assert (cutter.cut, seen["starts"]) == (len(places), starts)
    assert_whole(seen, upstream, upstream.text)


def test_with_a_key_in_the_address_a_lost_request_is_not_asked_again(
    browser: Chrome, server: Server, upstream: Emulator
) -> None:
    # Chromium sends the first one again without a word, and knows of no id yet after the second.
    upstream.pace = 0.01
    with Cutter(server.port, [b"", b"event: start\n"]) as cutter:
        listen(browser, cutter.port, "/chat?prompt=Hi&idempotency_key=1")
        seen = wait(browser, "seen.end")
    assert cutter.cut == 2
    assert_whole(seen, upstream, upstream.text)


def test_a_failure_comes_as_an_event_behind_what_was_written(
    browser: Chrome, server: Server, upstream: Emulator
) -> None:
    upstream.cut_after = 5
    listen(browser, server.port)
    seen = wait(browser, "seen.end")
    assert seen["text"] == "".join(upstream.tokens[:5])
    assert (seen["end"][0], seen["end"][1]["error"]["code"]) == ("failed", "upstream_broke")
    assert seen["numbers"] == [1, 2, 3, 4, 5, 6]


# What is no JSON is half of a line, glued to the next connection's first one.
OLD = """
window.seen = {starts: [], text: '', glued: 0, end: null};
var source = new EventSource('/chat?prompt=Hi'), next = 1;
function number(event) { return Number(event.lastEventId.split('.')[1]); }
source.addEventListener('start', function (event) {
  seen.starts.push([JSON.parse(event.data).model, number(event)]);
});
source.onmessage = function (event) {
  var text;
  try { text = JSON.parse(event.data).text; } catch (error) { seen.glued++; return; }
  if (number(event) === next) { next++; seen.text += text; }
};
source.addEventListener('done', function (event) { source.close(); seen.end = number(event); });
"""


@pytest.mark.parametrize("place", [b'data: {"text":"word7', b"event: sta", b"\nid: ", b'"word5 "}\n'])
@pytest.mark.parametrize("engine", ["qtwebkit", "phantomjs"])
def test_start_is_whole_behind_half_a_line_in_old_engines(
    request: pytest.FixtureRequest, server: Server, upstream: Emulator, engine: str, place: bytes
) -> None:
    old: Any = request.getfixturevalue(engine)
    upstream.pace = 0.01
    with Cutter(server.port, [place]) as cutter:
        old.get(f"http://localhost:{cutter.port}/static/millstream.js")  # without a policy that they complain of
        old.execute_script(OLD)
        seen = wait(old, "seen.end")
    assert (cutter.cut, seen["text"], seen["end"]) == (1, upstream.text, len(upstream.tokens) + 1)
    assert {model for model, _ in seen["starts"]} == {"emulated"}
    assert len(seen["starts"]) == (1 if place == b"event: sta" else 2)
