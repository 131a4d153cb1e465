"""Conversations, drafts and settings: kept, changed, deleted, brought back, and lost where nothing can be kept."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests.browser import states
from tests.browser.chat import WORDS, Stage
from tests.system.emulator import Emulator
from tests.system.server import Server

pytestmark = pytest.mark.browser

WHOLE = "".join(WORDS).strip()
TITLES = "nav .talk"


def test_a_conversation_is_told_whole_with_each_question(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.asked_and_ended("Second?")
    assert stage.questions()[1] == [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "".join(WORDS)},
        {"role": "user", "content": "Second?"},
    ]
    assert stage.browser.title == "First? – Millstream"


def test_a_reload_in_mid_answer_goes_on_with_it(stage: Stage) -> None:
    states.streaming(stage)
    stage.type("A draft")
    stage.browser.refresh()
    stage.wait_text(".answer", "word19")
    stage.wait_text(".state", "Writing…")
    assert stage.find("#message").get_attribute("value") == "A draft"
    stage.release()
    stage.ended()
    assert stage.text(".answer .text") == WHOLE
    assert stage.texts(".bubble") == [states.WHY]
    assert len(stage.questions()) == 1


def test_a_reload_before_the_first_word_asks_nothing_again(stage: Stage) -> None:
    stage.upstream.before_headers = 1.0
    stage.ask()
    stage.upstream.wait(lambda: len(stage.questions()) == 1)
    stage.browser.refresh()
    stage.ended()
    assert stage.text(".answer .text") == WHOLE
    assert len(stage.questions()) == 1


def test_conversations_are_opened_from_the_list_and_their_answers_go_on_unseen(stage: Stage) -> None:
    stage.hold(20)
    stage.ask("First?")
    stage.wait_text(".answer", "word19")
    stage.click("nav .new")
    assert stage.texts(".bubble") == []
    stage.upstream.gate_at = -1
    stage.release()
    stage.asked_and_ended("Second?")
    assert stage.texts(TITLES) == ["Second?", "First?"]
    stage.click(TITLES)
    stage.wait_text(".bubble", "First?")
    stage.ended()
    assert stage.text(".answer .text") == WHOLE
    assert stage.text("nav [aria-current]") == "First?"
    assert len(stage.questions()) == 2


def test_a_deleted_conversation_comes_back_with_undo(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.click("nav li .tool")
    assert stage.texts(TITLES) == []
    assert stage.texts(".bubble") == []
    stage.said("Deleted.")
    stage.click(".undo button")
    stage.click(TITLES)
    assert stage.texts(".bubble") == ["First?"]
    stage.browser.refresh()
    stage.wait_text(".bubble", "First?")


def test_all_are_deleted_only_after_a_question(stage: Stage) -> None:
    for question in ("First?", "Second?"):
        stage.asked_and_ended(question)
        stage.click("nav .new")
    stage.click(".kept .link")
    assert stage.text(".kept p:first-child") == "Delete all conversations in this browser?"
    stage.click(".answers button")
    assert len(stage.texts(TITLES)) == 2
    stage.click(".kept .link")
    stage.click(".answers .danger")
    assert stage.texts(TITLES) == []
    stage.click(".undo button")
    assert stage.texts(TITLES) == ["Second?", "First?"]


def test_an_edited_question_replaces_what_was_below_until_undo(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.asked_and_ended("Second?")
    stage.type("A draft")
    stage.run("document.querySelector('[data-edit]').click()")
    assert stage.text(".editing span") == "Editing: the answers below will be replaced."
    assert stage.find("#message").get_attribute("value") == "First?"
    stage.ask(" Again?")
    stage.ended()
    assert stage.texts(".bubble") == stage.texts(TITLES) == ["First? Again?"]
    assert stage.find("#message").get_attribute("value") == "A draft"
    assert [message["content"] for message in stage.questions()[-1]] == ["First? Again?"]
    stage.click(".undo button")
    assert stage.texts(".bubble") == ["First?", "Second?"]
    stage.browser.refresh()
    stage.wait_text(".bubble", "Second?")
    assert stage.texts(".answer .text") == [WHOLE, WHOLE]


def test_cancelled_editing_gives_the_draft_back(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.type("A draft")
    stage.click("[data-edit]")
    stage.click(".editing button")
    assert stage.find("#message").get_attribute("value") == "A draft"
    assert not stage.find(".editing").is_displayed()


def test_ask_again_replaces_the_answer_and_undo_stops_the_new_one(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    left = stage.upstream.left
    stage.upstream.tokens = ["Another ", "answer."]
    stage.hold(1)
    stage.click("[data-again]")
    stage.wait_text(".answer .text", "Another")
    stage.click(".undo button")
    assert stage.upstream.wait(lambda: stage.upstream.left == left + 1)
    assert stage.texts(".answer .text") == [WHOLE]
    assert stage.find(".go").get_attribute("aria-label") == "Send"


def test_drafts_belong_to_their_conversations(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.type("Draft one")
    stage.click("nav .new")
    stage.type("Draft two")
    stage.click(TITLES)
    assert stage.find("#message").get_attribute("value") == "Draft one"
    stage.click("nav .new")
    stage.browser.refresh()
    stage.wait("document.querySelector('.go')")
    assert stage.find("#message").get_attribute("value") == "Draft two"


FULL = "Storage.prototype.setItem = function () { throw new DOMException('full', 'QuotaExceededError'); };"
FORBIDDEN = (
    "Object.defineProperty(window, '{}', {{get: function () {{ throw new DOMException('no', 'SecurityError'); }}}});"
)


@pytest.mark.parametrize(
    ("broken", "survives"),
    [
        (FULL, False),
        (FORBIDDEN.format("localStorage"), True),
        (FORBIDDEN.format("localStorage") + FORBIDDEN.format("sessionStorage"), False),
    ],
    ids=["full", "no localStorage", "no storage"],
)
def test_where_nothing_can_be_kept_the_page_works_and_says_so(stage: Stage, broken: str, survives: bool) -> None:
    script = stage.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": broken})
    try:
        stage.browser.refresh()
        stage.asked_and_ended("First?")
        assert stage.text(".kept").startswith("This browser keeps no more")
        stage.click("nav .new")
        stage.asked_and_ended("Second?")
        stage.click(TITLES)
        assert stage.texts(".bubble") == ["First?"]
        stage.browser.refresh()
        stage.wait("document.querySelector('nav .new')")
        assert stage.texts(TITLES) == (["Second?", "First?"] if survives else [])
    finally:
        identifier = {"identifier": script["identifier"]}
        stage.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", identifier)


def test_a_really_full_storage_keeps_what_it_has(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    stage.run(
        """for (var size = 1 << 22; size > 64; size /= 2)
          try { for (;;) localStorage['f' + Math.random()] = new Array(size).join('x'); } catch (error) {}"""
    )
    stage.click("nav .new")
    stage.asked_and_ended("Second" + " long" * 300)
    assert stage.text(".kept").startswith("This browser keeps no more")
    stage.browser.refresh()  # sessionStorage has taken it
    stage.wait_text(".bubble", "Second")
    assert [title[:6] for title in stage.texts(TITLES)] == ["Second", "First?"]


def test_a_megabyte_is_refused_in_words_and_stays_in_the_box(stage: Stage) -> None:
    stage.run(
        """var box = document.getElementById('message');
        box.value = new Array(1100001).join('x');
        box.dispatchEvent(new Event('input', {bubbles: true}));"""
    )
    stage.click(".go")
    stage.wait_text(".notice b", "This message is too long.")
    assert stage.run("return document.getElementById('message').value.length") == 1100000
    assert stage.questions() == []


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_question_is_not_sent(stage: Stage, nothing: str) -> None:
    stage.type(nothing + "\n")
    stage.click(".go")
    assert stage.find(".go").get_attribute("aria-disabled") == "true"
    assert stage.texts(".bubble") == []


def test_theme_and_language_are_kept_and_drawn_by_the_server(stage: Stage) -> None:
    stage.asked_and_ended("First?")
    states.settings(stage)
    stage.click("input[value=dark]")
    assert stage.run("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 23)"
    stage.run(
        """var select = document.getElementById('language');
        select.value = 'ru';
        select.dispatchEvent(new Event('change'));"""
    )
    stage.wait("document.documentElement.lang === 'ru'")
    stage.wait_text(".answer h2, .reply h2", "Ответ")
    assert stage.run("return document.documentElement.getAttribute('data-theme')") == "dark"
    assert stage.text("nav .new") == "Новая беседа"


def test_the_model_that_was_picked_is_asked(stage: Stage) -> None:
    stage.run("var m = document.getElementById('model'); m.value = 'second'; m.dispatchEvent(new Event('change'));")
    stage.browser.refresh()
    stage.wait("document.querySelector('.go')")
    stage.asked_and_ended()
    assert stage.upstream.asked[-1]["model"] == "second"


@pytest.mark.parametrize("transport", ["fetch", "eventsource", "xhr", "poll"])
def test_the_page_answers_over_each_transport(stage: Stage, transport: str) -> None:
    stage.fresh(f"/?transport={transport}")
    stage.asked_and_ended()
    assert stage.text(".answer .text") == WHOLE
    assert stage.text(".facts").endswith(f" · {transport}")


def test_a_server_that_was_restarted_in_mid_answer_is_told_and_can_be_asked_again(stage: Stage) -> None:
    with Emulator(WORDS) as upstream, Server(upstreams={"emulated": upstream.table}, retry=50) as server:
        upstream.gate, upstream.gate_at = threading.Event(), 20
        stage.browser.get(server.url.replace("127.0.0.1", "localhost"))
        stage.ask()
        stage.wait_text(".answer", "word19")
        for process in (server.process.pid, *server.worker_pids()):
            os.kill(process, signal.SIGKILL)
        server.process.wait()
        stage.wait("document.querySelector('.state.lost')")
        with Server(upstreams={"emulated": upstream.table}, port=server.port, **server.settings):
            stage.wait("document.querySelector('.notice.failed')")
            assert stage.text(".notice .small") == "interrupted · What came is kept above."
            assert stage.text(".answer .text").endswith("word19")
            upstream.gate = None
            stage.click(".notice button")
            stage.ended()
            assert stage.text(".answer .text") == WHOLE


def test_what_is_copied_is_the_text_as_it_was_written(stage: Stage) -> None:
    stage.upstream.tokens = ["**Bold** ", "and *not*."]
    stage.browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    stage.asked_and_ended()
    stage.click(".reply .actions button:first-child")
    stage.said("Copied")
    read = "navigator.clipboard.readText().then(arguments[0])"
    assert stage.browser.execute_async_script(read) == "**Bold** and *not*."
