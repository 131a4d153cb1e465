"""A conversation's own settings: what it is asked with, kept with it and brought back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import states
from tests.browser.chat import Chat
from tests.browser.door import Door
from tests.browser.test_page_keys import press
from tests.system.emulator import Emulator
from tests.system.server import Server

pytestmark = pytest.mark.browser

TITLES = "nav .talk"
PICK = """var element = document.getElementById(arguments[0]);
element.value = arguments[1];
element.dispatchEvent(new Event('change'));"""


def write(chat: Chat, **fields: str) -> None:
    """Opens the panel, and types."""
    chat.run("if (!document.querySelector('.own.open')) document.getElementById('own-button').click()")
    for name, text in fields.items():
        chat.find(f"#own-{name}").send_keys(Keys.CONTROL, "a")
        chat.find(f"#own-{name}").send_keys(text + Keys.TAB)


def test_a_question_is_asked_with_them_and_they_come_back_with_the_conversation(chat: Chat) -> None:
    write(chat, system="Be brief.", temperature="0,3", top_p="0.9", max_tokens="800")
    chat.run(PICK, "model", "second")
    chat.asked_and_ended("One?")
    asked = chat.upstream.asked[-1]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (asked["model"], asked["temperature"], asked["top_p"], asked["max_tokens"]) == ("second", 0.3, 0.9, 800)
    chat.click("nav .new")
    assert [chat.find(f"#own-{name}").get_attribute("value") for name in ("system", "temperature")] == ["", ""]
    chat.run(PICK, "model", "emulated")
    chat.asked_and_ended("Two?")
    assert "temperature" not in chat.upstream.asked[-1]
    assert [message["role"] for message in chat.upstream.asked[-1]["messages"]] == ["user"]
    chat.browser.refresh()
    chat.wait_text("#own-button", "emulated")
    chat.wait(f"document.querySelectorAll('{TITLES}').length === 2")
    chat.click(TITLES)
    chat.wait_text("#own-button", "second")
    write(chat)
    assert [chat.find(f"#own-{name}").get_attribute("value") for name in ("system", "temperature", "max_tokens")] == [
        "Be brief.",
        "0.3",
        "800",
    ]
    chat.asked_and_ended("Three?")
    assert (chat.upstream.asked[-1]["model"], chat.upstream.asked[-1]["max_tokens"]) == ("second", 800)


def test_what_is_set_before_the_conversations_are_there_stays(chat: Chat) -> None:
    chat.asked_and_ended("Before?")
    chat.click("nav .new")
    with chat.before_each_page(states.HELD):
        chat.browser.refresh()
    write(chat, system="Be brief.", temperature="0.3")
    chat.wait("window.held")
    chat.run("window.held()")
    chat.wait(f"document.querySelectorAll('{TITLES}').length === 1")
    chat.asked_and_ended("One?")
    asked = chat.upstream.asked[-1]
    assert (asked["messages"][0], asked["temperature"]) == ({"role": "system", "content": "Be brief."}, 0.3)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("temperature", "2.5", "Use a number from 0 to 2."),
        ("top_p", "x", "Use a number from 0 to 1."),
        ("max_tokens", "1.5", "Use a number from 1 to 1000000."),
        ("max_tokens", "0", "Use a number from 1 to 1000000."),
    ],
)
def test_what_is_no_number_is_told_and_the_last_that_was_stays(chat: Chat, field: str, text: str, said: str) -> None:
    write(chat, **{field: "1"})
    write(chat, **{field: text})
    assert chat.text(f"#own-{field}-note") == said
    assert chat.find(f"#own-{field}").get_attribute("aria-invalid") == "true"
    chat.asked_and_ended()
    assert chat.upstream.asked[-1][field] == 1
    chat.click(".own > .outline")
    assert chat.find(f"#own-{field}").get_attribute("value") == ""
    chat.asked_and_ended("Again?")
    assert field not in chat.upstream.asked[-1]


def test_the_panel_stays_beside_the_conversation_and_holds_the_focus_where_it_covers_it(chat: Chat) -> None:
    write(chat)
    chat.find("#message").click()
    assert chat.find(".own").is_displayed()
    press(chat, Keys.ESCAPE)
    assert not chat.find(".own").is_displayed()
    chat.resize(390)
    try:
        chat.click("#own-button")
        for _ in range(10):
            assert chat.run("return document.querySelector('.own').contains(document.activeElement)")
            press(chat, Keys.TAB)
        press(chat, Keys.ESCAPE)
        assert chat.run("return document.activeElement.id") == "own-button"
    finally:
        chat.resize(None)


@pytest.fixture
def presets(chat: Chat) -> Iterator[Chat]:
    """The same page of a server with presets."""
    table = {
        "short": {"title": "Short", "system": "Be brief.", "model": "second", "locked": True},
        "free": {"title": "Free"},
    }
    with Emulator() as upstream:
        upstreams = {"emulated": {**upstream.table, "models": ["emulated", "second"]}}
        with Server(upstreams=upstreams, presets=table) as server, Door(server.port) as door:
            other = Chat(chat.browser, upstream, door)
            other.fresh()
            yield other


def test_a_locked_preset_disables_the_fields(presets: Chat) -> None:
    write(presets, temperature="1")
    presets.run(PICK, "preset", "short")
    assert presets.text("#own-temperature-note") == "Set by the preset."
    assert len(presets.texts(".own :disabled:not(option)")) == 5
    assert presets.text("#own-button") == "second"
    presets.asked_and_ended()
    assert presets.upstream.asked[-1]["messages"][0]["content"] == "Be brief."
    assert "temperature" not in presets.upstream.asked[-1]
