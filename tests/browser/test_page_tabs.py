"""One conversation in two tabs: each shows what the other asks, and neither loses or brings back anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import states
from tests.browser.chat import WORDS, Chat

pytestmark = [pytest.mark.browser, pytest.mark.service_worker]

WHOLE = "".join(WORDS).strip()
TITLES = "nav .talk"


class Tabs:
    """`tabs.to(1)` goes to the second tab."""

    def __init__(self, chat: Chat) -> None:
        self._browser = chat.browser
        self._handles = [chat.browser.current_window_handle]

    def add(self) -> None:
        """Another one with the same address."""
        address = self._browser.current_url
        self._browser.switch_to.new_window("tab")
        self._handles.append(self._browser.current_window_handle)
        self._browser.get(address)

    def to(self, number: int) -> None:
        self._browser.switch_to.window(self._handles[number])

    def close(self) -> None:
        for handle in self._handles[1:]:
            if handle in self._browser.window_handles:
                self._browser.switch_to.window(handle)
                self._browser.close()
        self.to(0)


@pytest.fixture
def tabs(chat: Chat) -> Iterator[Tabs]:
    tabs = Tabs(chat)
    yield tabs
    tabs.close()


def test_each_tab_shows_what_the_other_asked_and_both_are_kept(chat: Chat, tabs: Tabs) -> None:
    chat.asked_and_ended("One?")
    tabs.add()
    chat.wait_text(".answer .text", WHOLE)
    chat.asked_and_ended("Two, in B?")
    tabs.to(0)
    chat.wait_text(".bubble", "Two, in B?")
    chat.ended()
    assert chat.text(".elsewhere") == "Sent from another tab"
    chat.asked_and_ended("Three, in A?")
    tabs.to(1)
    chat.wait_text(".bubble", "Three, in A?")
    chat.browser.refresh()
    chat.wait_text(".bubble", "Three, in A?")
    assert chat.texts(".bubble") == ["One?", "Two, in B?", "Three, in A?"]
    assert chat.texts(".answer .text") == [WHOLE] * 3
    assert len(chat.questions()) == 3


def test_an_answer_grows_in_both_tabs_and_stop_works_from_the_other(chat: Chat, tabs: Tabs) -> None:
    chat.asked_and_ended("One?")
    tabs.add()
    chat.wait_text(".answer .text", WHOLE)
    chat.hold(20)
    chat.ask("Two?")
    chat.wait_text(".answer", "word19")
    tabs.to(0)
    chat.wait_text(".bubble", "Two?")
    chat.wait_text(".answer", "word19")
    chat.click(".go.halt")
    chat.wait_text(".notice", "Stopped.")
    tabs.to(1)
    chat.wait_text(".notice", "Stopped.")
    assert len(chat.questions()) == 2


def test_what_was_asked_at_the_same_moment_is_a_version_and_not_lost(chat: Chat, tabs: Tabs) -> None:
    chat.asked_and_ended("One?")
    tabs.add()
    chat.wait_text(".answer .text", WHOLE)
    chat.run("MillstreamPage.talks.refresh = function () {};")  # deaf to the other tab
    tabs.to(0)
    chat.run("MillstreamPage.talks.refresh = function () {};")
    chat.asked_and_ended("Two, in A?")
    tabs.to(1)
    chat.asked_and_ended("Two, in B?")
    chat.browser.refresh()
    chat.wait_text(".question .version", "2 of 2")
    assert chat.texts(".bubble") == ["One?", "Two, in B?"]
    chat.click(".question .versions button:first-child")
    assert chat.texts(".bubble") == ["One?", "Two, in A?"]


@pytest.mark.parametrize("where", [0, 1])
def test_delete_all_during_an_answer_stays_deleted(chat: Chat, tabs: Tabs, where: int) -> None:
    states.streaming(chat)
    left = chat.upstream.left
    tabs.add()
    tabs.to(where)
    chat.wait_text(".answer", "word19")
    chat.click(".kept .link")
    chat.click(".answers .danger")
    assert chat.upstream.wait(lambda: chat.upstream.left == left + 1)
    for tab in (0, 1):
        tabs.to(tab)
        chat.wait("!document.querySelector('.bubble, nav .talk')")
        chat.browser.refresh()
        chat.wait("document.querySelector('.example') && MillstreamPage.conversation.id() === null")
        assert chat.texts(TITLES) == []


def test_a_mark_of_deletion_can_not_be_undone_by_a_tab_that_has_missed_it(chat: Chat, tabs: Tabs) -> None:
    states.streaming(chat)
    tabs.add()
    chat.wait_text(".answer", "word19")
    chat.run("MillstreamPage.talks.refresh = function () {};")
    tabs.to(0)
    chat.click("nav li .tool")
    chat.click(".item.danger")
    tabs.to(1)
    chat.run(
        """var id = MillstreamPage.conversation.id();
        MillstreamPage.archive.write({talk: id, set: {title: 'Back'}, turns: []}, function (gone) {
          document.title = 'gone: ' + gone; });"""
    )
    chat.wait("document.title === 'gone: true'")
    tabs.to(0)
    chat.browser.refresh()
    chat.wait("document.querySelector('.example') && MillstreamPage.conversation.id() === null")
    assert chat.texts(TITLES) == []


def test_a_killed_tab_leaves_whole_turns(chat: Chat, tabs: Tabs) -> None:
    chat.asked_and_ended("One?")
    tabs.add()
    chat.wait_text(".answer .text", WHOLE)
    chat.upstream.tokens = ["x" * 50000 + f" {n}\n\n" for n in range(40)]
    chat.upstream.pace = 0.05
    chat.ask("Two?")
    chat.wait_text(".answer", " 12")
    tabs.close()
    chat.wait_text(".bubble", "Two?")
    chat.ended()
    chat.browser.refresh()
    chat.wait_text(".answer .text", " 39")
    assert len(chat.questions()) == 2
