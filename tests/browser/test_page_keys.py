"""The chat page by keyboard, and how it scrolls."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser import states
from tests.browser.chat import Stage

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.id || document.activeElement.className"
LINES = [f"Line {n}\n\n" for n in range(80)]


def press(stage: Stage, *keys: str) -> None:
    """Where the focus is; the last key with the others held."""
    chain = ActionChains(stage.browser)
    for key in keys[:-1]:
        chain.key_down(key)
    chain.send_keys(keys[-1])
    for key in keys[:-1]:
        chain.key_up(key)
    chain.perform()


def box(stage: Stage) -> str:
    return str(stage.find("#message").get_attribute("value"))


def test_shift_enter_makes_a_line_and_enter_sends(stage: Stage) -> None:
    stage.type("One")
    press(stage, Keys.SHIFT, Keys.ENTER)
    stage.type("two\n")
    stage.ended()
    assert stage.texts(".bubble") == ["One\ntwo"]
    assert stage.run(f"return {FOCUSED}") == "message"


def test_the_setting_gives_enter_to_new_lines_and_control_enter_sends(stage: Stage) -> None:
    states.settings(stage)
    stage.click(".panel input[type=checkbox]")
    press(stage, Keys.ESCAPE)
    assert stage.text(".hint") == "Ctrl+Enter sends, Enter makes a new line"
    stage.type("One\ntwo")
    assert stage.texts(".bubble") == []
    press(stage, Keys.CONTROL, Keys.ENTER)
    stage.ended()
    assert stage.texts(".bubble") == ["One\ntwo"]


@pytest.mark.parametrize("init", ["isComposing: true, keyCode: 13", "keyCode: 229"])
def test_the_enter_that_ends_a_chinese_word_does_not_send(stage: Stage, init: str) -> None:
    stage.type("水")
    stage.run(
        f"""document.getElementById('message').dispatchEvent(
        new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, cancelable: true, {init}}}))"""
    )
    assert stage.texts(".bubble") == []


def test_enter_during_an_answer_says_to_wait_and_escape_stops(stage: Stage) -> None:
    states.streaming(stage)
    stage.ask("Next?")
    assert stage.text(".state") == "Stop first, or wait for the end."
    assert box(stage) == "Next?"
    press(stage, Keys.ESCAPE)
    stage.wait_text(".notice", "Stopped.")
    assert box(stage) == "Next?"


def test_arrow_up_in_an_empty_box_edits_and_escape_leaves(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    press(stage, Keys.ARROW_UP)
    assert box(stage) == "First?"
    press(stage, Keys.ESCAPE)
    assert box(stage) == ""
    assert not stage.find(".editing").is_displayed()


def test_control_shift_o_begins_anew_and_slash_goes_to_the_box(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    press(stage, Keys.CONTROL, Keys.SHIFT, "o")
    assert stage.texts(".bubble") == []
    stage.run("document.activeElement.blur()")
    press(stage, "/")
    assert stage.run(f"return {FOCUSED}") == "message"
    assert box(stage) == ""


def test_the_list_of_keys_is_a_dialog_that_gives_the_focus_back(stage: Stage) -> None:
    stage.find("nav .new").click()
    stage.run("document.querySelector('nav .new').focus()")
    press(stage, "?")
    assert stage.find("[role=dialog]").is_displayed()
    for _ in range(2):
        press(stage, Keys.TAB)
        assert stage.run("return document.querySelector('.sheet').contains(document.activeElement)")
    press(stage, Keys.ESCAPE)
    assert stage.run("return document.querySelector('.sheet')") is None
    assert "new" in stage.run(f"return {FOCUSED}")


def test_everything_can_be_reached_with_tab(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.run("document.activeElement.blur(); document.body.focus()")
    reached: list[str] = []
    for _ in range(30):
        press(stage, Keys.TAB)
        name = stage.run(
            """var e = document.activeElement;
            return e.getAttribute('aria-label') || e.id || e.textContent.trim() || e.className"""
        )
        if name in reached[:1]:
            break
        reached.append(name)
        assert stage.run(
            """var e = document.activeElement, style = getComputedStyle(e);
            if (e === document.body || e.id === 'message') return true;  // the box itself is outlined
            while (e.classList && !e.classList.contains('actions')) e = e.parentNode;
            return style.outlineStyle !== 'none' && (!e.classList || getComputedStyle(e).opacity === '1');"""
        ), name
    expected = [
        "Skip to the message box",
        "model",
        "Settings",
        "New conversation",
        "First?",
        "Delete: First?",
        "Delete all…",
    ]
    expected += ["Edit", "Copy", "Ask again", "message", "Send"]
    assert [name for name in expected if name not in reached] == []


def test_the_drawer_holds_the_focus_and_escape_gives_it_back(stage: Stage) -> None:
    stage.resize(390)
    try:
        assert not stage.find("nav").is_displayed()
        stage.click(".menu")
        press(stage, Keys.SHIFT, Keys.TAB)
        for _ in range(4):
            assert stage.run("return document.querySelector('nav').contains(document.activeElement)")
            press(stage, Keys.TAB)
        press(stage, Keys.ESCAPE)
        assert not stage.find("nav").is_displayed()
        assert stage.run("return document.activeElement.getAttribute('aria-controls')") == "rail"
    finally:
        stage.resize(None)


# -- scrolling --------------------------------------------------------------------------------------------------

DISTANCE = "document.documentElement.scrollHeight - pageYOffset - innerHeight"


def growing(stage: Stage) -> None:
    """A long answer, half of which is shown."""
    stage.upstream.tokens = LINES
    stage.hold(40)
    stage.ask()
    stage.wait_text(".answer", "Line 39")
    stage.wait(f"{DISTANCE} <= 1")


def go_on(stage: Stage) -> None:
    stage.release()
    stage.ended()


def test_the_page_follows_the_end_of_the_answer(stage: Stage) -> None:
    growing(stage)
    go_on(stage)
    stage.wait(f"{DISTANCE} <= 1")
    assert not stage.find(".pill").is_displayed()


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
def test_who_moves_up_stays_where_they_are(stage: Stage, how: str) -> None:
    growing(stage)
    stage.run(UNSTICKS[how])
    stage.wait("!MillstreamPage.scrolling.isStuck()")
    place = stage.run("return pageYOffset")
    go_on(stage)
    stage.wait("document.querySelector('.pill:not([hidden])')")
    assert stage.run("return pageYOffset") == place
    stage.click(".pill")
    stage.wait(f"{DISTANCE} <= 1")
    assert not stage.find(".pill").is_displayed()


def test_coming_back_to_the_end_follows_again(stage: Stage) -> None:
    growing(stage)
    stage.run(UNSTICKS["scroll bar"])
    stage.wait("!MillstreamPage.scrolling.isStuck()")
    stage.run("scrollTo(0, document.documentElement.scrollHeight)")
    stage.wait("MillstreamPage.scrolling.isStuck()")
    go_on(stage)
    stage.wait(f"{DISTANCE} <= 1")


def test_sending_goes_to_the_end(stage: Stage) -> None:
    growing(stage)
    go_on(stage)
    stage.run("scrollTo(0, 0)")
    stage.wait("!MillstreamPage.scrolling.isStuck()")
    stage.upstream.gate = None
    stage.asked_and_ended("Next?")
    stage.wait(f"{DISTANCE} <= 1")
