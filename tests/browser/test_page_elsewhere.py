"""The scripted page in Firefox, and in WebKits of 2013 and 2016, which draw plain paragraphs: Stop, and resuming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.browsers import Firefox, PhantomJS, QtWebKit
from tests.browser.chat import WORDS, Chat
from tests.browser.door import Door
from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.server import Server

pytestmark = pytest.mark.browser

PARAGRAPHS = [*WORDS[:20], "\n", "\n", "水车 ", "\n\n", *WORDS[20:]]
ASK = """
var box = document.getElementById('message'), event = document.createEvent('Event');
box.value = arguments[0];
event.initEvent('input', true, true);
box.dispatchEvent(event);
document.querySelector('.go').click();
"""


class Quiet(QtWebKit):
    """Without what it says to the console of words that came after its time."""

    def execute_script(self, script: str, *arguments: Any) -> Any:
        try:
            return super().execute_script(script, *arguments)
        except RuntimeError as error:
            lines = [line for line in str(error).splitlines() if line]
            if not all(
                "Unrecognized Content-Security-Policy" in line or "Viewport argument" in line for line in lines
            ):
                raise
            return super().execute_script(script, *arguments)


@pytest.fixture(scope="module", params=[PhantomJS, Quiet, Firefox])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    browser = request.param(tmp_path_factory.mktemp("profile"))
    try:
        with (
            Emulator() as upstream,
            Server(upstreams={"emulated": upstream.table}, retry=50) as server,
            Door(server.port) as door,
        ):
            yield Chat(browser, upstream, door)
    finally:
        browser.quit()


@pytest.fixture
def page(old: Chat) -> Chat:
    old.upstream.tokens, old.upstream.gate = list(PARAGRAPHS), None
    old.asked = len(old.upstream.asked)
    load(old)
    old.run("document.querySelector('nav .new').click()")
    return old


def load(page: Chat) -> None:
    page.browser.get(f"http://localhost:{page.door.port}/")
    page.wait("document.querySelector('.go')")


def paragraphs(page: Chat) -> list[str]:
    return page.texts(".answer .text > p")


WHOLE = ["".join(WORDS[:20]).strip(), "水车", "".join(WORDS[20:]).strip()]


def test_each_word_is_shown_before_the_next_is_written(page: Chat) -> None:
    page.upstream.tokens = turns = InTurn(PARAGRAPHS)
    page.run(ASK, "How?")
    for n in range(1, len(PARAGRAPHS) + 1):
        page.wait_text(".answer", PARAGRAPHS[n - 1].strip())
        if n == 5:
            page.wait_text(".state", "Writing… 5 tokens")
            plain = page.run("return !window.MillstreamRich")
            assert not plain or page.text(".state").split(" · ")[-1] in ("eventsource", "xhr", "poll", "fetch")
        turns.seen()
    page.ended()
    assert paragraphs(page) == WHOLE
    assert page.questions() == [[{"role": "user", "content": "How?"}]]


def test_stop_ends_the_answer(page: Chat) -> None:
    left = page.upstream.left
    page.hold(20)
    page.run(ASK, "How?")
    page.wait_text(".answer", "word19")
    page.run("document.querySelector('.go').click()")
    page.wait_text(".notice", "Stopped.")
    assert page.upstream.wait(lambda: page.upstream.left == left + 1)


DO = """
var words = arguments[0], all = [].slice.call(document.querySelectorAll('button'));
all.filter(function (button) {
  return (button.getAttribute('aria-label') || button.textContent) === words;
}).pop().click();
"""


def test_versions_titles_search_and_settings_work_and_are_kept(page: Chat) -> None:
    title = f"Mills {page.asked}?"
    page.run("document.getElementById('own-button').click()")
    field = "var f = document.getElementById('own-system'), e = document.createEvent('Event'); f.value = 'Be brief.';"
    page.run(
        field + "e.initEvent('input', true, true); f.dispatchEvent(e); document.querySelector('#own > .tool').click()"
    )
    page.run(ASK, title)
    page.wait_text(".bubble", title)
    page.ended()
    assert page.questions()[0][0] == {"role": "system", "content": "Be brief."}
    page.upstream.tokens = ["Another answer."]
    page.run("document.querySelector('[data-again]').click()")
    page.wait_text(".answer", "Another answer.")
    page.ended()
    page.run(DO, f"More: {title}")
    page.run(DO, "Pin")
    load(page)
    page.wait_text(".answer", "Another answer.")
    assert page.text(".reply .version") == "2 of 2"
    assert page.texts("nav h2")[0] == "Pinned"
    page.run(DO, "Previous version")
    page.wait_text(".answer", "word0")
    page.run("document.querySelector('nav .new').click()")
    search = "var f = document.getElementById('search'), e = document.createEvent('Event'); f.value = arguments[0];"
    page.run(search + "e.initEvent('input', true, true); f.dispatchEvent(e);", title)
    page.wait("document.querySelector('.hit')")
    page.run("document.querySelector('.hit').click()")
    page.wait_text(".bubble", title)


def test_a_cut_and_a_reload_in_mid_answer_lose_nothing(page: Chat) -> None:
    page.hold(20)
    page.run(ASK, "How?")
    page.wait_text(".answer", "word19")
    page.door.shut()
    page.wait("document.querySelector('.state.lost')")
    page.door.open()
    page.wait("!document.querySelector('.state.lost')")
    load(page)
    page.wait_text(".answer", "word19")
    page.release()
    page.ended()
    assert paragraphs(page) == WHOLE
    assert len(page.questions()) == 1
