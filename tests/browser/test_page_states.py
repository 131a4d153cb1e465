"""Each state of the chat page: what is seen, what is said aloud, and how it ends."""

from __future__ import annotations

import pytest

from tests.browser import states
from tests.browser.chat import WORDS, Stage
from tests.system.in_turn import InTurn

pytestmark = pytest.mark.browser

WHY = states.WHY


def test_the_empty_page_offers_examples_that_are_not_sent(stage: Stage) -> None:
    states.empty(stage)
    assert stage.text("h2") == "What would you like to know?"
    stage.click(".example")
    assert stage.find("#message").get_attribute("value") == "Write a polite reminder in Chinese"
    assert stage.find(".go").get_attribute("aria-disabled") == "false"
    assert stage.questions() == []


def test_waiting_tells_the_seconds_after_a_while(stage: Stage) -> None:
    states.waiting(stage)
    assert stage.find(".answer").get_attribute("aria-busy") == "true"
    stage.run("var now = Date.now; Date.now = function () { return now() + 7000; };")
    stage.wait_text(".state", "Waiting for the model… 7 s")
    stage.release()
    stage.ended()


def test_each_word_is_shown_before_the_next_is_written(stage: Stage) -> None:
    stage.upstream.tokens = turns = InTurn(WORDS)
    stage.ask()
    for n in range(1, len(WORDS) + 1):
        stage.wait_text(".answer .text", "".join(WORDS[:n]).strip())
        turns.seen()
    stage.ended()
    assert stage.text(".answer .text") == "".join(WORDS).strip()
    assert stage.questions() == [[{"role": "user", "content": WHY}]]


def test_streaming_tells_tokens_and_speed_and_the_end_the_facts(stage: Stage) -> None:
    states.streaming(stage)
    stage.wait_text(".state", "Writing… 20 tokens")
    assert stage.find(".state").get_attribute("aria-hidden") == "true"
    stage.said("Answer started.")
    stage.release()
    stage.said("Answer finished, 30 tokens.")
    assert stage.text(".facts").startswith("emulated-1 · ")
    assert "30 tokens" in stage.text(".facts")
    assert "fetch" in stage.text(".facts")
    assert stage.text(".state") == ""


def test_thoughts_are_folded_above_the_answer(stage: Stage) -> None:
    states.thinking(stage)
    assert stage.text(".thoughts summary") == "Thinking…"
    stage.release()
    stage.ended()
    assert stage.text(".thoughts summary") == "Thought for 1 s"
    assert stage.find(".thoughts").get_attribute("open") is None
    assert stage.text(".thoughts") == "Thought for 1 sThe wheel turns the stone."
    assert stage.text(".answer > .text") == "A mill turns."


def test_stop_keeps_what_came_and_ends_the_upstream(stage: Stage) -> None:
    left = stage.upstream.left
    states.stopped(stage)
    assert stage.text(".notice") == "Stopped."
    assert stage.text(".answer .text").endswith("word19")
    stage.said("Stopped.")
    assert stage.upstream.wait(lambda: stage.upstream.left == left + 1)


def test_a_failure_stands_in_the_answer_and_can_be_tried_again(stage: Stage) -> None:
    states.failed(stage)
    assert stage.text(".notice .what").startswith("The answer broke off.")
    assert stage.text(".notice .small") == "upstream_broke · What came is kept above."
    assert stage.text(".answer .text") == "".join(WORDS[:5]).strip()
    stage.wait("document.querySelector('.dock [role=alert]').textContent.indexOf('The answer broke off.') === 0")
    stage.upstream.cut_after = None
    stage.click(".notice button")
    stage.ended()
    assert stage.texts(".answer .text") == ["".join(WORDS).strip()]
    assert [messages[-1]["content"] for messages in stage.questions()] == [WHY, WHY]


def test_a_refused_question_is_in_the_box_again_and_can_be_sent_when_its_time_comes(stage: Stage) -> None:
    states.refused(stage)
    stage.wait_text(".notice b", "Too many requests. Try again in ")
    assert stage.find(".notice button").get_attribute("aria-disabled") == "true"
    assert stage.find("#message").get_attribute("value") == WHY
    stage.click(".notice button")
    stage.run("var now = Date.now; Date.now = function () { return now() + 31000; };")
    stage.wait("document.querySelector('.notice button').getAttribute('aria-disabled') === 'false'")
    stage.click(".notice button")
    stage.ended()
    assert stage.find("#message").get_attribute("value") == ""
    assert stage.texts(".bubble") == [WHY]
    assert len(stage.questions()) == 1


def test_sending_from_the_box_replaces_what_was_refused(stage: Stage) -> None:
    states.refused(stage)
    stage.ask(" Please.")
    stage.ended()
    assert stage.texts(".bubble") == [WHY + " Please."]
    assert stage.texts(".notice") == []


def test_a_lost_connection_is_told_and_loses_nothing(stage: Stage) -> None:
    states.reconnecting(stage)
    assert "Nothing is lost." in stage.text(".state")
    assert stage.text(".answer").startswith("word0")
    stage.said("Connection lost, trying again.")
    stage.door.open()
    stage.wait_text(".state", "Writing…")
    stage.release()
    stage.ended()
    assert stage.text(".answer .text") == "".join(WORDS).strip()
    assert len(stage.questions()) == 1


def test_offline_nothing_can_be_sent_and_the_draft_stays(stage: Stage) -> None:
    states.offline(stage)
    assert stage.text(".state") == "You are offline. What you wrote is kept."
    assert stage.find(".go").get_attribute("aria-disabled") == "true"
    stage.type("\n")
    states.network(stage, offline=False)
    stage.wait("!document.querySelector('.state.offline')")
    assert stage.find("#message").get_attribute("value") == "A draft"
    assert stage.find(".go").get_attribute("aria-disabled") == "false"
    assert len(stage.questions()) == 1


def test_a_machine_without_a_network_still_asks_its_own_server(stage: Stage) -> None:
    stage.run("Object.defineProperty(navigator, 'onLine', {value: false}); dispatchEvent(new Event('offline'))")
    stage.asked_and_ended()
    assert stage.text(".answer .text") == "".join(WORDS).strip()


def test_who_is_signed_out_signs_in_and_goes_on_with_the_draft(stage: Stage) -> None:
    states.signed_out(stage)
    assert not stage.find(".dock").is_displayed()
    stage.door.says("/login", 401, "invalid_key")
    stage.find("#key").send_keys("wrong\n")
    stage.wait_text(".relogin .error", "This key is not known here.")
    stage.door.says("/login", 429, "login", retry_after=7)
    stage.find("#key").send_keys("\n")
    stage.wait_text(".relogin .error", "Try again in 7 s.")
    stage.door.says("/login", 204)
    stage.find("#key").send_keys("\n")
    stage.wait("!document.querySelector('.relogin')")
    assert stage.find("#message").get_attribute("value") == WHY
    stage.type("\n")
    stage.ended()
    assert len(stage.questions()) == 1


def test_an_answer_goes_on_after_the_session_was_lost_in_it(stage: Stage) -> None:
    states.streaming(stage)
    stage.type("My next question")
    stage.door.shut()
    stage.wait("document.querySelector('.state.lost')")
    for _ in range(4):
        stage.door.says("/streams/", 401, "missing_key")
    stage.door.open()
    stage.wait("document.querySelector('.relogin')")
    stage.door.forget()
    stage.door.says("/login", 204)
    stage.find("#key").send_keys("right\n")
    stage.release()
    stage.ended()
    assert stage.text(".answer .text") == "".join(WORDS).strip()
    assert stage.find("#message").get_attribute("value") == "My next question"
    assert len(stage.questions()) == 1


def test_an_answer_without_text_says_so(stage: Stage) -> None:
    stage.upstream.tokens = []
    stage.ask()
    stage.wait_text(".notice", "The model gave no text.")


def test_an_answer_that_is_gone_says_so(stage: Stage) -> None:
    states.streaming(stage)
    stage.run(
        """var key = 'millstream:talk.' + JSON.parse(sessionStorage['millstream:open']);
        MillstreamPage.conversation.keep();
        var talk = localStorage[key].replace(/streams\\/[^"]{22}/, 'streams/AAAAAAAAAAAAAAAAAAAAAA');
        MillstreamPage.talks.save = function () {};
        localStorage[key] = talk;"""
    )
    stage.browser.refresh()
    stage.wait_text(".notice b", "This answer is no longer on the server.")
    assert stage.text(".answer .text").startswith("word0")


@pytest.mark.parametrize(
    ("name", "lang"), [("empty", "ru"), ("failed", "zh"), ("reconnecting", "ru"), ("settings", "ru")]
)
def test_nothing_is_wider_than_the_window(stage: Stage, name: str, lang: str) -> None:
    stage.fresh(lang=lang)
    states.STATES[name](stage)
    try:
        for width in (320, 390, 768, 1280, 2000):
            stage.resize(width)
            assert stage.run("return document.documentElement.scrollWidth - innerWidth") <= 0, width
    finally:
        stage.resize(None)
