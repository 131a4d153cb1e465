"""The chat page by keyboard, and how it scrolls."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser import states
from tests.browser.chat import Chat

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.id || document.activeElement.className"
LINES = [f"Line {n}\n\n" for n in range(80)]


def press(chat: Chat, *keys: str) -> None:
    """Where the focus is; the last key with the others held."""
    chain = ActionChains(chat.browser)
    for key in keys[:-1]:
        chain.key_down(key)
    chain.send_keys(keys[-1])
    for key in keys[:-1]:
        chain.key_up(key)
    chain.perform()


def box(chat: Chat) -> str:
    return str(chat.find("#message").get_attribute("value"))


def test_shift_enter_makes_a_line_and_enter_sends(chat: Chat) -> None:
    chat.type("One")
    press(chat, Keys.SHIFT, Keys.ENTER)
    chat.type("two\n")
    chat.ended()
    assert chat.texts(".bubble") == ["One\ntwo"]
    assert chat.run(f"return {FOCUSED}") == "message"


def test_the_setting_gives_enter_to_new_lines_and_control_enter_sends(chat: Chat) -> None:
    states.settings(chat)
    chat.click(".panel > label input[type=checkbox]")
    press(chat, Keys.ESCAPE)
    assert chat.text(".hint") == "Ctrl+Enter sends, Enter makes a new line"
    chat.type("One\ntwo")
    assert chat.texts(".bubble") == []
    press(chat, Keys.CONTROL, Keys.ENTER)
    chat.ended()
    assert chat.texts(".bubble") == ["One\ntwo"]


@pytest.mark.parametrize("init", ["isComposing: true, keyCode: 13", "keyCode: 229"])
def test_the_enter_that_ends_a_chinese_word_does_not_send(chat: Chat, init: str) -> None:
    chat.type("水")
    chat.run(
        f"""document.getElementById('message').dispatchEvent(
        new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, cancelable: true, {init}}}))"""
    )
    assert chat.texts(".bubble") == []


def test_enter_during_an_answer_says_to_wait_and_escape_stops(chat: Chat) -> None:
    states.streaming(chat)
    chat.ask("Next?")
    assert chat.text(".state") == "Stop the answer first, or wait until it ends."
    assert box(chat) == "Next?"
    press(chat, Keys.ESCAPE)
    chat.wait_text(".notice", "Stopped.")
    assert box(chat) == "Next?"


def test_arrow_up_in_an_empty_box_edits_and_escape_leaves(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    press(chat, Keys.ARROW_UP)
    assert box(chat) == "First?"
    press(chat, Keys.ESCAPE)
    assert box(chat) == ""
    assert not chat.find(".editing").is_displayed()


def test_control_shift_o_begins_anew_and_slash_goes_to_the_box(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    press(chat, Keys.CONTROL, Keys.SHIFT, "o")
    assert chat.texts(".bubble") == []
    chat.run("document.activeElement.blur()")
    press(chat, "/")
    assert chat.run(f"return {FOCUSED}") == "message"
    assert box(chat) == ""


def test_the_list_of_keys_is_a_dialog_that_gives_the_focus_back(chat: Chat) -> None:
    chat.find("nav .new").click()
    chat.run("document.querySelector('nav .new').focus()")
    press(chat, "?")
    assert chat.find("[role=dialog]").is_displayed()
    for _ in range(2):
        press(chat, Keys.TAB)
        assert chat.run("return document.querySelector('.sheet').contains(document.activeElement)")
    press(chat, Keys.ESCAPE)
    assert chat.run("return document.querySelector('.sheet')") is None
    assert "new" in chat.run(f"return {FOCUSED}")


def test_everything_can_be_reached_with_tab(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.run("document.activeElement.blur(); document.body.focus()")
    reached: list[str] = []
    for _ in range(30):
        press(chat, Keys.TAB)
        name = chat.run(
            """var e = document.activeElement;
            return e.getAttribute('aria-label') || e.id || e.textContent.trim() || e.className"""
        )
        if name in reached[:1]:
            break
        reached.append(name)
        assert chat.run(
            """var e = document.activeElement, style = getComputedStyle(e);
            if (e === document.body || e.id === 'message') return true;  // the box itself is outlined
            while (e.classList && !e.classList.contains('actions')) e = e.parentNode;
            return style.outlineStyle !== 'none' && (!e.classList || getComputedStyle(e).opacity === '1');"""
        ), name
    expected = [
        "Skip to the message box",
        "own-button",
        "Settings",
        "New conversation",
        "First?",
        "More: First?",
        "Delete all…",
        "Search",
    ]
    expected += ["Edit", "Copy", "Ask again", "message", "Send"]
    assert [name for name in expected if name not in reached] == []


def test_the_drawer_holds_the_focus_and_escape_gives_it_back(chat: Chat) -> None:
    chat.resize(390)
    try:
        assert not chat.find("nav").is_displayed()
        chat.click(".menu")
        press(chat, Keys.SHIFT, Keys.TAB)
        for _ in range(4):
            assert chat.run("return document.querySelector('nav').contains(document.activeElement)")
            press(chat, Keys.TAB)
        press(chat, Keys.ESCAPE)
        assert not chat.find("nav").is_displayed()
        assert chat.run("return document.activeElement.getAttribute('aria-controls')") == "rail"
    finally:
        chat.resize(None)


# -- scrolling --------------------------------------------------------------------------------------------------

DISTANCE = "document.documentElement.scrollHeight - pageYOffset - innerHeight"


def growing(chat: Chat) -> None:
    """A long answer, half of which is shown."""
    chat.upstream.tokens = LINES
    chat.hold(40)
    chat.ask()
    chat.wait_text(".answer", "Line 39")
    chat.wait(f"{DISTANCE} <= 1")


def go_on(chat: Chat) -> None:
    chat.release()
    chat.ended()


def test_the_page_follows_the_end_of_the_answer(chat: Chat) -> None:
    growing(chat)
    go_on(chat)
    chat.wait(f"{DISTANCE} <= 1")
    assert not chat.find(".pill").is_displayed()


UNSTICKS = {
    "wheel": "document.body.dispatchEvent(new WheelEvent('wheel', {deltaY: -10, bubbles: true}))",
    "key": "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'PageUp', bubbles: true}))",
    "selection": "getSelection().selectAllChildren(document.querySelector('.bubble'))",
    "finger": """['touchstart', 'touchmove'].forEach(function (type, n) {
        var touch = new Touch({identifier: 1, target: document.body, clientY: 100 + 10 * n});
        document.body.dispatchEvent(new TouchEvent(type, {touches: [touch], bubbles: true})); })""",
    "scroll bar": "scrollTo(0, pageYOffset - 300)",
}


@pytest.mark.parametrize("how", UNSTICKS)
def test_who_moves_up_stays_where_they_are(chat: Chat, how: str) -> None:
    growing(chat)
    chat.run(UNSTICKS[how])
    chat.wait("!MillstreamPage.scrolling.isStuck()")
    place = chat.run("return pageYOffset")
    go_on(chat)
    chat.wait("document.querySelector('.pill:not([hidden])')")
    assert chat.run("return pageYOffset") == place
    chat.click(".pill")
    chat.wait(f"{DISTANCE} <= 1")
    assert not chat.find(".pill").is_displayed()


def test_coming_back_to_the_end_follows_again(chat: Chat) -> None:
    growing(chat)
    chat.run(UNSTICKS["scroll bar"])
    chat.wait("!MillstreamPage.scrolling.isStuck()")
    chat.run("scrollTo(0, document.documentElement.scrollHeight)")
    chat.wait("MillstreamPage.scrolling.isStuck()")
    go_on(chat)
    chat.wait(f"{DISTANCE} <= 1")


def test_sending_goes_to_the_end(chat: Chat) -> None:
    growing(chat)
    go_on(chat)
    chat.run("scrollTo(0, 0)")
    chat.wait("!MillstreamPage.scrolling.isStuck()")
    chat.upstream.gate = None
    chat.asked_and_ended("Next?")
    chat.wait(f"{DISTANCE} <= 1")
