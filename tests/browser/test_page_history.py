"""Conversations, drafts and settings: kept, changed, deleted, brought back, and lost where nothing can be kept."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests.browser import states
from tests.browser.chat import WORDS, Chat
from tests.system.emulator import Emulator
from tests.system.server import Server

pytestmark = pytest.mark.browser

WHOLE = "".join(WORDS).strip()
TITLES = "nav .talk"
LEFT = "return localStorage['millstream:left']"
# Nothing else is written while this transaction lasts.
BUSY = """var open = indexedDB.open('millstream');
open.onsuccess = function () {
  var talks = open.result.transaction(['talks', 'turns', 'files'], 'readwrite').objectStore('talks');
  (function more() { talks.count().onsuccess = more; window.busy = true; }());
};"""


def test_a_conversation_is_told_whole_with_each_question(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.asked_and_ended("Second?")
    assert chat.questions()[1] == [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "".join(WORDS)},
        {"role": "user", "content": "Second?"},
    ]
    assert chat.browser.title == "First? – Millstream"


def test_a_reload_in_mid_answer_goes_on_with_it(chat: Chat) -> None:
    states.streaming(chat)
    chat.type("A draft")
    chat.browser.refresh()
    chat.wait_text(".answer", "word19")
    chat.wait_text(".state", "Writing…")
    assert chat.find("#message").get_attribute("value") == "A draft"
    chat.release()
    chat.ended()
    assert chat.text(".answer .text") == WHOLE
    assert chat.texts(".bubble") == [states.WHY]
    assert len(chat.questions()) == 1


def test_a_reload_before_the_first_word_asks_nothing_again(chat: Chat) -> None:
    chat.upstream.before_headers = 1.0
    chat.ask()
    chat.upstream.wait(lambda: len(chat.questions()) == 1)
    chat.browser.refresh()
    chat.ended()
    assert chat.text(".answer .text") == WHOLE
    assert len(chat.questions()) == 1


def test_a_reload_before_the_database_is_there_loses_no_question(chat: Chat) -> None:
    with chat.before_each_page(states.HELD):
        chat.browser.refresh()
    chat.hold(20)
    chat.ask("First?")
    chat.wait_text(".answer", "word19")
    chat.browser.refresh()
    chat.release()
    chat.ended()
    assert (chat.texts(".bubble"), chat.texts(TITLES)) == (["First?"], ["First?"])
    assert chat.text(".answer .text") == WHOLE
    assert len(chat.questions()) == 1


def test_what_is_not_written_yet_survives_a_reload(chat: Chat) -> None:
    chat.run(BUSY)
    chat.wait("window.busy")
    chat.asked_and_ended("First?")
    chat.run("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    assert chat.run(LEFT)
    chat.run("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert not chat.run(LEFT)  # the page itself is there again, and writes it
    chat.browser.refresh()
    chat.wait_text(".bubble", "First?")
    chat.ended()
    assert (chat.text(".answer .text"), chat.texts(TITLES)) == (WHOLE, ["First?"])
    assert len(chat.questions()) == 1
    chat.wait("!localStorage['millstream:left']")


def test_conversations_are_opened_from_the_list_and_their_answers_go_on_unseen(chat: Chat) -> None:
    chat.hold(20)
    chat.ask("First?")
    chat.wait_text(".answer", "word19")
    chat.click("nav .new")
    assert chat.texts(".bubble") == []
    chat.upstream.gate_at = -1
    chat.release()
    chat.asked_and_ended("Second?")
    assert chat.texts(TITLES) == ["Second?", "First?"]
    chat.click(TITLES)
    chat.wait_text(".bubble", "First?")
    chat.ended()
    assert chat.text(".answer .text") == WHOLE
    assert chat.text("nav [aria-current]") == "First?"
    assert len(chat.questions()) == 2


def test_a_deleted_conversation_comes_back_with_undo(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.click("nav li .tool")
    chat.click(".item.danger")
    assert chat.texts(TITLES) == []
    assert chat.texts(".bubble") == []
    chat.said("Deleted.")
    chat.click(".undo button")
    chat.wait(f"document.querySelector('{TITLES}')")
    chat.click(TITLES)
    chat.wait_text(".bubble", "First?")
    chat.browser.refresh()
    chat.wait_text(".bubble", "First?")


def test_all_are_deleted_only_after_a_question(chat: Chat) -> None:
    for question in ("First?", "Second?"):
        chat.asked_and_ended(question)
        chat.click("nav .new")
    chat.click(".kept .link")
    assert chat.text(".kept p:first-child") == "Delete all conversations in this browser?"
    chat.click(".answers button")
    assert len(chat.texts(TITLES)) == 2
    chat.click(".kept .link")
    chat.click(".answers .danger")
    assert chat.texts(TITLES) == []
    chat.click(".undo button")
    chat.wait(f"document.querySelectorAll('{TITLES}').length === 2")
    assert chat.texts(TITLES) == ["Second?", "First?"]


def test_an_edited_question_is_a_version_beside_what_was_there(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.asked_and_ended("Second?")
    chat.type("A draft")
    chat.run("document.querySelector('[data-edit]').click()")
    assert chat.text(".editing span") == "Editing. The earlier version is kept."
    assert chat.find("#message").get_attribute("value") == "First?"
    chat.ask(" Again?")
    chat.ended()
    assert chat.texts(".bubble") == chat.texts(TITLES) == ["First? Again?"]
    assert chat.find("#message").get_attribute("value") == "A draft"
    assert [message["content"] for message in chat.questions()[-1]] == ["First? Again?"]
    assert chat.text(".question .version") == "2 of 2"
    chat.click(".question .versions button:first-child")
    assert chat.texts(".bubble") == ["First?", "Second?"]
    chat.said("Version 1 of 2")
    chat.browser.refresh()
    chat.wait_text(".bubble", "Second?")
    assert chat.texts(".answer .text") == [WHOLE, WHOLE]


def test_cancelled_editing_gives_the_draft_back(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.type("A draft")
    chat.click("[data-edit]")
    chat.click(".editing button")
    assert chat.find("#message").get_attribute("value") == "A draft"
    assert not chat.find(".editing").is_displayed()


def test_ask_again_makes_a_version_and_the_arrows_go_between_them(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.upstream.tokens = ["Another ", "answer."]
    chat.hold(1)
    chat.click("[data-again]")
    chat.wait_text(".answer .text", "Another")
    chat.release()
    chat.ended()
    chat.click(".reply .versions button:first-child")
    assert (chat.text(".reply .version"), chat.texts(".answer .text")) == ("1 of 2", [WHOLE])
    assert chat.run("return document.activeElement.getAttribute('aria-label')") == "Previous version"
    chat.click(".reply .versions button:last-child")
    assert (chat.text(".reply .version"), chat.texts(".answer .text")) == ("2 of 2", ["Another answer."])
    chat.asked_and_ended("Second?")
    assert [message["content"] for message in chat.questions()[-1]] == ["First?", "Another answer.", "Second?"]


def test_an_answer_that_ended_at_the_length_limit_is_continued(chat: Chat) -> None:
    chat.upstream.tokens, chat.upstream.finish = ["The wheel ", "turns"], "length"
    chat.ask("How?")
    chat.wait_text(".notice", "Stopped at the length limit.")
    chat.upstream.tokens, chat.upstream.finish = [" the ", "stone."], "stop"
    chat.click(".notice button")
    chat.wait_text(".answer .text", "The wheel turns the stone.")
    chat.ended()
    assert [message["role"] for message in chat.questions()[-1]] == ["user", "assistant", "user"]
    assert chat.questions()[-1][1]["content"] == "The wheel turns"
    assert (chat.text(".reply .version"), chat.texts(".notice")) == ("2 of 2", [])
    chat.asked_and_ended("And then?")
    assert [message["content"] for message in chat.questions()[-1]][:2] == ["How?", "The wheel turns the stone."]


def test_drafts_belong_to_their_conversations(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.type("Draft one")
    chat.click("nav .new")
    chat.type("Draft two")
    chat.click(TITLES)
    assert chat.find("#message").get_attribute("value") == "Draft one"
    chat.click("nav .new")
    chat.browser.refresh()
    chat.wait("document.querySelector('.go')")
    assert chat.find("#message").get_attribute("value") == "Draft two"


FORBIDDEN = (
    "Object.defineProperty(window, '{}', {{get: function () {{ throw new DOMException('no', 'SecurityError'); }}}});"
)
DATABASE = "IDBFactory.prototype.open = function () { throw new DOMException('no', 'SecurityError'); };"
LOCAL, SESSION = (FORBIDDEN.format(name) for name in ("localStorage", "sessionStorage"))
KEPT, NOT_KEPT = "Kept in this browser only.", "This browser keeps nothing"


@pytest.mark.parametrize(
    ("broken", "said", "survives"),
    [
        (LOCAL, KEPT, True),
        (DATABASE, KEPT, True),
        (DATABASE + LOCAL, NOT_KEPT, True),
        (DATABASE + LOCAL + SESSION, NOT_KEPT, False),
    ],
    ids=["no localStorage", "no IndexedDB", "sessionStorage alone", "nothing"],
)
def test_the_page_works_with_what_the_browser_lets_it_keep(
    chat: Chat, broken: str, said: str, survives: bool
) -> None:
    with chat.before_each_page(broken):
        chat.browser.refresh()
        chat.asked_and_ended("First?")
        chat.wait_text(".kept", said)
        chat.click("nav .new")
        chat.asked_and_ended("Second?")
        chat.click(TITLES)
        chat.wait_text(".bubble", "First?")
        chat.browser.refresh()
        chat.wait_text("nav .talks", "First?" if survives else "")
        assert chat.texts(TITLES) == (["Second?", "First?"] if survives else [])


def test_a_full_store_keeps_what_it_has_says_so_and_goes_on_when_there_is_room(chat: Chat) -> None:
    states.full(chat)  # Chromium takes a smaller quota after a minute only
    chat.wait_text(".kept", "Browser storage is full: new messages are lost when you close this tab.")
    assert len(chat.texts(".bubble")) == 2
    chat.run("room()")
    chat.asked_and_ended("Third?")
    chat.wait_text(".kept", KEPT)
    chat.browser.refresh()
    chat.wait_text(".bubble", "Third?")
    assert chat.texts(".bubble") == [states.WHY, "And a windmill?", "Third?"]


OLDER = {
    "talks": [{"id": "old1", "title": "First?", "at": 1700000000000}],
    "talk.old1": {
        "id": "old1",
        "title": "First?",
        "at": 1700000000000,
        "turns": [
            {"role": "user", "text": "First?"},
            {"role": "assistant", "state": "done", "text": "Yes.", "came": 1},
        ],
    },
}


def test_what_lay_in_local_storage_is_taken_over(chat: Chat) -> None:
    chat.run(
        "for (var key in arguments[0]) localStorage['millstream:' + key] = JSON.stringify(arguments[0][key]);", OLDER
    )
    chat.browser.refresh()
    chat.wait(f"document.querySelector('{TITLES}')")
    chat.click(TITLES)
    chat.wait_text(".answer .text", "Yes.")
    assert chat.run("return Object.keys(localStorage)") == []
    chat.asked_and_ended("Second?")
    assert [message["content"] for message in chat.questions()[-1]] == ["First?", "Yes.", "Second?"]


def test_a_message_that_is_too_long_is_refused_in_words_and_stays_in_the_box(chat: Chat) -> None:
    chat.door.says("/chat", 413, "body_too_large")
    chat.run(
        """var box = document.getElementById('message');
        box.value = new Array(1100001).join('x');
        box.dispatchEvent(new Event('input', {bubbles: true}));"""
    )
    chat.click(".go")
    chat.wait_text(".notice b", "This message is too long.")
    assert chat.run("return document.getElementById('message').value.length") == 1100000
    assert chat.questions() == []


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_question_is_not_sent(chat: Chat, nothing: str) -> None:
    chat.type(nothing + "\n")
    chat.click(".go")
    assert chat.find(".go").get_attribute("aria-disabled") == "true"
    assert chat.texts(".bubble") == []


def test_theme_and_language_are_kept_and_drawn_by_the_server(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    states.settings(chat)
    chat.click("input[value=dark]")
    assert chat.run("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 23)"
    bars = """return [].filter.call(document.querySelectorAll('meta[name=theme-color]'), function (meta) {
      return matchMedia(meta.media).matches; }).map(function (meta) { return meta.content; });"""
    assert chat.run(bars) == ["#151817"]
    chat.run(
        """var select = document.getElementById('language');
        select.value = 'ru';
        select.dispatchEvent(new Event('change'));"""
    )
    chat.wait("document.documentElement.lang === 'ru'")
    chat.wait_text(".answer h2, .reply h2", "Ответ")
    assert chat.run("return document.documentElement.getAttribute('data-theme')") == "dark"
    assert chat.run(bars) == ["#151817"]
    assert chat.text("nav .new") == "Новая беседа"


@pytest.mark.parametrize("transport", ["fetch", "eventsource", "xhr", "poll"])
def test_the_page_answers_over_each_transport(chat: Chat, transport: str) -> None:
    chat.fresh(f"/?transport={transport}")
    chat.asked_and_ended()
    assert chat.text(".answer .text") == WHOLE
    assert chat.text(".facts dd") == transport


def test_a_server_that_was_restarted_in_mid_answer_is_told_and_can_be_asked_again(chat: Chat) -> None:
    with Emulator(WORDS) as upstream, Server(upstreams={"emulated": upstream.table}, retry=50) as server:
        upstream.gate, upstream.gate_at = threading.Event(), 20
        chat.browser.get(server.url.replace("127.0.0.1", "localhost"))
        chat.ask()
        chat.wait_text(".answer", "word19")
        for process in (server.process.pid, *server.worker_pids()):
            os.kill(process, signal.SIGKILL)
        server.process.wait()
        chat.wait("document.querySelector('.state.lost')")
        with Server(upstreams={"emulated": upstream.table}, port=server.port, **server.settings):
            chat.wait("document.querySelector('.notice.failed')")
            assert chat.text(".notice .small") == "interrupted · The text above is kept."
            assert chat.text(".answer .text").endswith("word19")
            upstream.gate = None
            chat.click(".notice button")
            chat.ended()
            assert chat.text(".answer .text") == WHOLE


def test_what_is_copied_is_the_text_as_it_was_written(chat: Chat) -> None:
    chat.upstream.tokens = ["**Bold** ", "and *not*."]
    chat.browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    chat.asked_and_ended()
    chat.click(".reply .actions > button:first-child")
    chat.said("Copied")
    read = "navigator.clipboard.readText().then(arguments[0])"
    assert chat.browser.execute_async_script(read) == "**Bold** and *not*."
