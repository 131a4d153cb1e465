"""The scripted page behind nginx in Chromium, Firefox, and WebKits of 2013 and 2016, which draw plain paragraphs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.browsers import Firefox
from tests.browser.chat import WORDS, Chat
from tests.system.in_turn import InTurn

pytestmark = pytest.mark.browser

PARAGRAPHS = [*WORDS[:20], "\n", "\n", "水车 ", "\n\n", *WORDS[20:]]
ASK = """
var box = document.getElementById('message'), event = document.createEvent('Event');
box.value = arguments[0];
event.initEvent('input', true, true);
box.dispatchEvent(event);
document.querySelector('.go').click();
"""


@pytest.fixture
def page(every_chat: Chat) -> Chat:
    every_chat.upstream.tokens, every_chat.upstream.gate = list(PARAGRAPHS), None
    every_chat.asked = len(every_chat.upstream.asked)
    load(every_chat)
    every_chat.run("document.querySelector('nav .new').click()")
    return every_chat


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


# A file and a picture are dropped. Old engines can make no File and no DataTransfer: they get what looks like them.
DROP = """
function blob(parts, type, name) {
  var made = new Blob(parts, {type: type});
  if (!made.name) Object.defineProperty(made, 'name', {value: name});
  return made;
}
var canvas = document.createElement('canvas'), pen = canvas.getContext('2d'), event = document.createEvent('Event');
canvas.width = 40; canvas.height = 30;
pen.fillStyle = '#b05a2b'; pen.fillRect(4, 4, 20, 20);
var binary = atob(canvas.toDataURL('image/png').split(',')[1]), bytes = new Uint8Array(binary.length), n;
for (n = 0; n < binary.length; n++) bytes[n] = binary.charCodeAt(n);
event.initEvent('drop', true, true);
Object.defineProperty(event, 'dataTransfer', {value: {types: ['Files'],
  files: [blob(['GET /\\n'], 'text/plain', 'access.log'), blob([bytes], 'image/png', 'mill.png')]}});
document.body.dispatchEvent(event);
"""


def test_a_file_and_a_picture_go_with_a_question_and_are_kept(page: Chat) -> None:
    page.run(DROP)
    page.wait(
        "document.querySelectorAll('.chip').length === 2 && document.querySelector('.thumb img').naturalWidth === 40"
    )
    page.run(ASK, "Which?")
    page.wait_text(".bubble", "Which?")
    page.ended()
    text, picture, question = page.questions()[0][0]["content"]
    assert (text["text"], question["text"]) == ("access.log:\n\nGET /\n", "Which?")
    assert picture["image_url"]["url"].startswith("data:image/")
    load(page)
    page.wait("document.querySelector('.paper') && (document.querySelector('.shot img') || {}).naturalWidth === 40")


@pytest.mark.parametrize("every_chat", ["firefox"], indirect=True)
def test_without_the_server_the_page_opens_in_firefox_too(page: Chat) -> None:
    page.run(ASK, "Kept?")
    page.wait_text(".bubble", "Kept?")
    page.ended()
    page.wait("navigator.serviceWorker.controller")
    load(page)  # through the worker, which keeps it
    page.run("caches.has('millstream').then(function (has) { window.kept = has; })")
    page.wait("window.kept")
    page.door.shut()
    try:
        load(page)
        page.wait_text(".answer .text", "word29")
    finally:
        page.door.open()


@pytest.mark.parametrize("every_chat", ["firefox"], indirect=True)
def test_two_tabs_show_each_other_s_turns_in_firefox_too(page: Chat) -> None:
    firefox: Any = page.browser
    assert isinstance(firefox, Firefox)
    page.run(ASK, "One?")
    page.wait_text(".bubble", "One?")
    page.ended()
    address, first = page.run("return location.href"), firefox.tab
    firefox.switch()
    try:
        page.browser.get(address)
        page.wait_text(".answer .text", "word29")
        page.run(ASK, "Two, in B?")
        page.wait_text(".bubble", "Two, in B?")
        page.ended()
        second = firefox.tab
        firefox.switch(first)
        page.wait_text(".bubble", "Two, in B?")
        page.ended()
        page.run(ASK, "Three, in A?")
        page.wait_text(".bubble", "Three, in A?")
        page.ended()
        firefox.switch(second)
        page.wait_text(".bubble", "Three, in A?")
        assert page.texts(".bubble") == ["One?", "Two, in B?", "Three, in A?"]
    finally:
        if firefox.tab != first:
            firefox.close()
            firefox.switch(first)
