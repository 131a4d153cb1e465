"""The page that nobody looks at, that is closed, or that has no server; in the whole Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import states
from tests.browser.chat import WORDS, Chat
from tests.browser.conftest import chromium
from tests.browser.door import Door
from tests.browser.test_page_tabs import Tabs
from tests.system.emulator import Emulator

pytestmark = [pytest.mark.browser, pytest.mark.service_worker]

WHOLE = "".join(WORDS).strip()
# Notifications as the page makes them, and a page that is not looked at.
WATCHED = """
window.shown = [];
window.Notification = function (title, options) { shown.push([title, options.body, options.tag]); };
Notification.permission = 'PERMISSION';
Notification.requestPermission = function (then) { Notification.permission = 'granted'; then('granted'); };
MillstreamPage.offline.worker = function (then) { then(null); };
"""
HIDDEN = "Object.defineProperty(document, 'hidden', {value: HIDDEN, configurable: true});" + (
    "document.dispatchEvent(new Event('visibilitychange'));"
)


@pytest.fixture(scope="module")
def whole_chat(tmp_path_factory: pytest.TempPathFactory, behind_door: tuple[Emulator, Door]) -> Iterator[Chat]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield Chat(browser, *behind_door)


def test_an_answer_goes_on_to_its_end_though_the_page_is_closed(chat: Chat) -> None:
    tabs = Tabs(chat)
    tabs.add()
    states.streaming(chat)
    address = chat.browser.current_url
    tabs.close()
    chat.release()
    assert chat.upstream.wait(lambda: not chat.upstream.busy)
    left = chat.upstream.left
    chat.browser.get(address)
    chat.ended()
    assert chat.text(".answer .text") == WHOLE
    assert (chat.upstream.left, len(chat.questions())) == (left, 1)


def test_the_state_line_says_that_the_page_can_be_closed(chat: Chat) -> None:
    states.streaming(chat)
    chat.run("var now = Date.now; Date.now = function () { return now() + 6000; };")
    chat.wait_text(".state", "Writing… You can close this page; the answer will be here.")


@pytest.mark.parametrize(
    ("permission", "wanted", "count"), [("granted", True, 1), ("granted", False, 0), ("denied", True, 0)]
)
def test_an_answer_that_ends_unseen_marks_the_title_and_notifies_who_wants_it(
    chat: Chat, permission: str, wanted: bool, count: int
) -> None:
    states.streaming(chat)
    chat.run(WATCHED.replace("PERMISSION", permission) + f"MillstreamPage.prefer('notify', {str(wanted).lower()});")
    chat.run(HIDDEN.replace("HIDDEN", "true"))
    chat.release()
    chat.wait("document.title === '● How does a mill work? – Millstream'")
    assert chat.run("return shown.length") == count
    if count:
        assert chat.run("return shown[0].slice(0, 2)") == ["How does a mill work?", WHOLE[:140]]
    chat.run(HIDDEN.replace("HIDDEN", "false"))
    assert chat.browser.title == "How does a mill work? – Millstream"


def test_notifications_are_offered_once_while_a_first_answer_takes_long(chat: Chat) -> None:
    states.streaming(chat)
    chat.run(WATCHED.replace("PERMISSION", "default"))
    chat.run("var now = Date.now; Date.now = function () { return now() + 11000; };")
    chat.wait_text(".undo", "Get a notification when a long answer is done?")
    chat.click(".undo .link")
    chat.wait("!document.querySelector('.undo')")
    assert chat.run("return [MillstreamPage.prefers('notify'), MillstreamPage.prefers('notify_asked')]") == [
        False,
        True,
    ]
    chat.click("[aria-controls=settings]")
    chat.click("[aria-describedby=notify-note]")
    assert chat.run("return MillstreamPage.prefers('notify')") is True


def test_without_the_server_the_page_opens_and_shows_what_is_kept(chat: Chat) -> None:
    chat.asked_and_ended()
    chat.wait("navigator.serviceWorker.controller")
    chat.browser.refresh()
    chat.wait_text(".answer .text", WHOLE)
    chat.run("return 0")
    chat.browser.execute_async_script(
        """var done = arguments[0];
        function kept() { return caches.open('millstream').then(function (cache) { return cache.keys(); }); }
        (function look() { kept().then(function (keys) {
          var names = keys.map(function (key) { return new URL(key.url).pathname; });
          if (['/', '/page.js', '/static/rich.js', '/static/features.css'].every(function (name) {
            return names.indexOf(name) >= 0; })) done();
          else setTimeout(look, 50);
        }); }());"""
    )
    chat.door.shut()
    try:
        chat.browser.refresh()
        chat.wait_text(".answer .text.rich", WHOLE)
        chat.click("nav .new")
        assert chat.texts("nav .talk") == ["How does a mill work?"]
        said = [line["message"] for line in chat.browser.get_log("browser") if line["source"] != "network"]
        assert [line for line in said if "icon from the Manifest" not in line] == []  # Chromium asks past the worker
    finally:
        chat.door.open()


def test_the_worker_keeps_no_answer_and_forgets_the_page_of_who_signs_out(chat: Chat) -> None:
    chat.asked_and_ended()
    chat.wait("navigator.serviceWorker.controller")
    chat.browser.refresh()
    chat.asked_and_ended("Again?")
    names = """var done = arguments[0];
    caches.open('millstream').then(function (kept) { return kept.keys(); }).then(function (keys) {
      done(keys.map(function (key) { return key.method + ' ' + new URL(key.url).pathname; })); });"""
    kept = chat.browser.execute_async_script(names)
    assert kept
    assert [name for name in kept if "/chat" in name or "/streams" in name] == []
    chat.run("MillstreamPage.offline.forget()")
    chat.browser.execute_async_script(
        """var done = arguments[0];
        (function look() { caches.has('millstream').then(function (has) {
          if (has) setTimeout(look, 50);
          else done();
        }); }());"""
    )
