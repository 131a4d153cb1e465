"""The page in a WebKit without custom properties, and in one of 2016: all can be seen, reached and used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.chat import Chat
from tests.browser.test_page_elsewhere import ASK, paragraphs

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("every_chat", ["phantomjs", "qtwebkit"], indirect=True),
]

# Boxes of what can be seen: [left, top, right, bottom] by selector.
BOXES = """
return arguments[0].map(function (selector) {
  var all = [].slice.call(document.querySelectorAll(selector)), box;
  all = all.filter(function (one) { return one.offsetWidth &&
      window.getComputedStyle(one).visibility === 'visible'; });
  if (!all.length) return null;
  box = all[0].getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom];
});
"""


@pytest.fixture
def page(every_chat: Chat) -> Chat:
    every_chat.upstream.tokens, every_chat.upstream.gate = [f"Line {n}\n\n" for n in range(60)], None
    every_chat.browser.resize(1280, 900)
    every_chat.browser.get(f"http://localhost:{every_chat.door.port}/")
    every_chat.wait("document.querySelector('.go')")
    return every_chat


def boxes(page: Chat, *selectors: str) -> list[Any]:
    return page.run(BOXES, list(selectors))


def test_the_page_follows_the_answer(page: Chat) -> None:
    page.run(ASK, "How?")
    page.wait_text(".answer", "Line 59")
    page.ended()
    page.wait("document.documentElement.scrollHeight > 2000")
    page.wait("window.pageYOffset + window.innerHeight > document.documentElement.scrollHeight - 64")


@pytest.mark.parametrize("width", [320, 390, 768, 1300])
def test_nothing_covers_anything_and_nothing_scrolls_sideways(page: Chat, width: int) -> None:
    beside = 1300 if "old" not in page.run("return document.documentElement.className") else 760
    page.browser.resize(width, 800)
    page.run(ASK, "How?")
    page.ended()
    page.run("window.scrollTo(0, 0);")
    menu, tools, rail, main, bubble, edit, answer, dock, go = boxes(
        page, ".menu", ".tools", ".rail", "main", ".bubble", "[data-edit]", ".answer", ".dock", ".go"
    )
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert tools[3] <= bubble[1]
    assert bubble[3] <= edit[1]
    assert edit[3] <= answer[1]
    assert dock[1] >= main[3]
    assert min(edit[3] - edit[1], go[3] - go[1], edit[2] - edit[0]) >= (44 if width < 760 else 36)
    assert (menu is None, rail is None) == ((True, False) if width >= beside else (False, True))
    assert not rail or rail[2] <= bubble[0]


def test_the_drawer_opens_and_closes_on_a_telephone(page: Chat) -> None:
    page.browser.resize(390, 800)
    page.run("document.querySelector('.menu').click()")
    assert boxes(page, ".rail .new")[0][2] <= 390
    page.run("document.querySelector('.shade').click()")
    assert boxes(page, ".rail") == [None]


def test_settings_and_keys_are_shown(page: Chat) -> None:
    page.run("document.querySelector('[aria-controls=settings]').click()")
    panel, button = boxes(page, ".panel", "[aria-controls=settings]")
    assert panel[1] >= button[3]
    page.run("document.querySelector('.panel .link').click()")
    sheet = boxes(page, ".sheet")[0]
    assert sheet[3] - sheet[1] > 200
    page.run("document.querySelector('.sheet .tool').click()")
    assert boxes(page, ".sheet") == [None]


def test_the_dark_theme_is_dark(page: Chat) -> None:
    colour = "return window.getComputedStyle(document.body).backgroundColor"
    assert page.run(colour) == "rgb(250, 249, 246)"
    page.run("document.querySelector('[name=theme][value=dark]').click()")
    assert page.run(colour) == "rgb(21, 24, 23)"
    page.run("document.querySelector('[name=theme][value=auto]').click()")


def test_plain_drawing_ends_a_line_at_each_cr(page: Chat) -> None:
    page.upstream.tokens = ["one\r", "two\r", "\nthree\r\r", "four", "\r\n", "\r\nfive\r"]
    page.run(ASK, "How?")
    page.ended()
    assert paragraphs(page)[-3:] == ["one\ntwo\nthree", "four", "five"]


def test_without_script_stop_goes_when_the_answer_has_ended(page: Chat) -> None:
    page.upstream.tokens = ["one", " two"]
    page.run("window.stream = Millstream.open({body: {prompt: 'How?'}});")
    page.wait("stream.state === 'done'")
    page.browser.get(f"http://localhost:{page.door.port}{page.run('return stream.url')}?format=html")
    assert page.text(".answer .text") == "one two"
    assert boxes(page, ".stop") == [None]
    assert boxes(page, ".dock")[0]
