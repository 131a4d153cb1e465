"""Finding conversations again: search, titles, pins, addresses."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.chat import Chat
from tests.browser.test_page_keys import press

pytestmark = pytest.mark.browser

TITLES = "nav .talk"
HIT = "nav .hit"


def two(chat: Chat) -> None:
    """A conversation about mills with a word that no other has, and one about cats."""
    chat.upstream.tokens = ["The wheel\n", "turns the quern."]
    chat.asked_and_ended("Mills?")
    chat.click("nav .new")
    chat.upstream.tokens = ["They purr."]
    chat.asked_and_ended("Cats?")


def row(chat: Chat, title: str, item: str) -> None:
    """Presses this item of a row's menu."""
    chat.run(
        """var rows = [].slice.call(document.querySelectorAll('nav li'));
        for (var n = 0; n < rows.length; n++)
          if (rows[n].textContent.indexOf(arguments[0]) === 0) rows[n].querySelector('.tool').click();""",
        title,
    )
    chat.run(
        """var items = document.querySelectorAll('.item');
        for (var n = 0; n < items.length; n++)
          if (items[n].textContent.indexOf(arguments[0]) === 0) items[n].click();""",
        item,
    )


def test_a_word_of_an_answer_finds_its_conversation_and_goes_there(chat: Chat) -> None:
    two(chat)
    press(chat, Keys.CONTROL, "k")
    assert chat.run("return document.activeElement.id") == "search"
    press(chat, "QUERN")
    chat.wait_text(".found .count", "Found: 1")
    assert chat.texts(HIT + " .where") == ["…wheel turns the quern."]
    assert chat.text(HIT + " mark") == "quern"
    assert chat.texts(TITLES) and not chat.find(TITLES).is_displayed()
    press(chat, Keys.ARROW_DOWN)
    press(chat, Keys.ENTER)
    chat.wait_text(".bubble", "Mills?")
    press(chat, Keys.ESCAPE)
    assert chat.find(TITLES).is_displayed()


def test_a_word_that_is_nowhere_says_so(chat: Chat) -> None:
    two(chat)
    chat.find("#search").send_keys("<b>quernn")
    chat.wait_text(".found .none", "Nothing found for “<b>quernn”.")
    chat.said("Nothing found for “<b>quernn”.")
    chat.click(".search .tool")
    assert chat.find("#search").get_attribute("value") == ""
    assert chat.find(TITLES).is_displayed()


def test_a_match_in_another_version_is_shown(chat: Chat) -> None:
    two(chat)
    chat.upstream.tokens = ["They sleep."]
    chat.click("[data-again]")
    chat.wait_text(".answer .text", "They sleep.")
    chat.ended()
    chat.find("#search").send_keys("purr")
    chat.wait(f"document.querySelector('{HIT}')")
    chat.click(HIT)
    chat.wait_text(".answer .text", "They purr.")
    assert chat.text(".reply .version") == "1 of 2"


@pytest.mark.parametrize(
    ("typed", "ends_with", "title"),
    [("Grain", Keys.ENTER, "Grain"), ("Grain", Keys.ESCAPE, "Mills?"), (Keys.DELETE, Keys.ENTER, "Mills?")],
)
def test_a_title_is_changed_in_place_and_stays(chat: Chat, typed: str, ends_with: str, title: str) -> None:
    two(chat)
    chat.click(TITLES)
    chat.wait_text(".bubble", "Mills?")
    press(chat, Keys.F2)
    press(chat, typed)
    press(chat, ends_with)
    chat.wait(f"document.querySelectorAll('{TITLES}').length === 2")
    assert chat.texts(TITLES) == ["Cats?", title]
    assert chat.run("return document.activeElement.textContent") == title
    chat.asked_and_ended("And now?")
    assert chat.browser.title == f"{title} – Millstream"
    chat.browser.refresh()
    chat.wait_text("nav .talks", title)
    assert chat.texts(TITLES) == [title, "Cats?"]


def test_a_pinned_conversation_stands_first(chat: Chat) -> None:
    two(chat)
    row(chat, "Mills?", "Pin")
    chat.wait_text("nav h2", "Today")
    chat.browser.refresh()
    chat.wait(f"document.querySelectorAll('{TITLES}').length === 2")
    assert (chat.texts("nav h2"), chat.texts(TITLES)) == (["Pinned", "Today"], ["Mills?", "Cats?"])
    row(chat, "Mills?", "Unpin")
    assert (chat.texts("nav h2"), chat.texts(TITLES)) == (["Today"], ["Cats?", "Mills?"])


def test_the_menu_of_a_row_goes_by_keys_and_gives_the_focus_back(chat: Chat) -> None:
    two(chat)
    chat.run("document.querySelector('nav li .tool').focus()")
    press(chat, Keys.ENTER)
    for key, item in (
        (Keys.ARROW_UP, "Delete"),
        (Keys.ARROW_DOWN, "Rename"),
        (Keys.END, "Delete"),
        (Keys.HOME, "Rename"),
    ):
        press(chat, key)
        assert chat.run("return document.activeElement.querySelector('span').textContent") == item
    press(chat, Keys.ESCAPE)
    assert chat.run("return document.querySelector('.menu-list')") is None
    assert chat.run("return document.activeElement.getAttribute('aria-label')") == "More: Cats?"


def test_back_goes_to_the_conversation_before(chat: Chat) -> None:
    two(chat)
    address = chat.browser.current_url
    chat.click(TITLES)
    chat.wait_text(".bubble", "Mills?")
    chat.browser.back()
    chat.wait_text(".bubble", "Cats?")
    assert chat.browser.current_url == address
    chat.browser.forward()
    chat.wait_text(".bubble", "Mills?")
    chat.browser.get(address)
    chat.wait_text(".bubble", "Cats?")


@pytest.mark.parametrize("name", ["nowhere", "%3Cimg%20src=x%20onerror=alert(1)%3E", "../x"])
def test_an_address_that_leads_nowhere_is_an_empty_page(chat: Chat, name: str) -> None:
    chat.browser.get(f"{chat.browser.current_url}?x#c={name}")
    chat.wait("document.querySelector('.example')")
    chat.asked_and_ended()


def test_a_title_ends_with_a_whole_character(chat: Chat) -> None:
    chat.run("document.getElementById('message').value = new Array(60).join('x') + '👩‍👩‍👧tail';")
    chat.type(" \n")
    chat.ended()
    assert chat.text(TITLES) == "x" * 59 + "👩‍👩‍👧"
