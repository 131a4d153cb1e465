"""Each state of the chat page: what is seen, what is said aloud, and how it ends."""

from __future__ import annotations

import pytest

from tests.browser import states
from tests.browser.chat import ELSEWHERE, WORDS, Chat
from tests.system.in_turn import InTurn

pytestmark = pytest.mark.browser

WHY = states.WHY
STILL = "now = Date.now(); Date.now = function () { return now; };"  # the page's clock, until a test sets it on


def test_the_empty_page_offers_examples_that_are_not_sent(chat: Chat) -> None:
    states.empty(chat)
    assert chat.text(".empty h2") == "What would you like to know?"
    chat.click(".example")
    assert chat.find("#message").get_attribute("value") == "Write a polite reminder about an unpaid invoice"
    assert chat.find(".go").get_attribute("aria-disabled") == "false"
    assert chat.questions() == []


def test_waiting_tells_the_seconds_after_a_while(chat: Chat) -> None:
    chat.run(STILL)
    states.waiting(chat)
    assert chat.find(".answer").get_attribute("aria-busy") == "true"
    chat.run("now += 7000")
    chat.wait_text(".state", "Waiting for the model… 7 s")
    chat.release()
    chat.ended()


def test_each_word_is_shown_before_the_next_is_written(chat: Chat) -> None:
    chat.upstream.tokens = turns = InTurn(WORDS)
    chat.ask()
    for n in range(1, len(WORDS) + 1):
        chat.wait_text(".answer .text", "".join(WORDS[:n]).strip())
        turns.seen()
    chat.ended()
    assert chat.text(".answer .text") == "".join(WORDS).strip()
    assert chat.questions() == [[{"role": "user", "content": WHY}]]


def test_streaming_tells_tokens_and_speed_and_the_end_the_facts(chat: Chat) -> None:
    states.streaming(chat)
    chat.wait_text(".state", "Writing… 20 tokens")
    assert chat.find(".state").get_attribute("aria-hidden") == "true"
    chat.said("Answer started.")
    chat.release()
    chat.said("Answer finished, 30 tokens.")
    assert chat.text(".facts").startswith("emulated-1 · ")
    assert "30 tokens" in chat.text(".facts")
    assert chat.text(".facts dd") == "fetch"
    assert not chat.find(".facts dl").is_displayed()
    chat.click(".facts summary")
    assert chat.find(".facts dl").is_displayed()
    assert chat.text(".state") == ""


def test_thoughts_are_folded_above_the_answer(chat: Chat) -> None:
    chat.run(STILL)
    states.thinking(chat)
    assert chat.text(".thoughts summary") == "Thinking…"
    chat.release()
    chat.ended()
    assert chat.text(".thoughts summary") == "Thought for 1 s"
    assert chat.find(".thoughts").get_attribute("open") is None
    assert chat.text(".thoughts") == "Thought for 1 sThe wheel turns the stone."
    assert chat.text(".answer > .text") == "A mill turns."


def test_stop_keeps_what_came_and_ends_the_upstream(chat: Chat) -> None:
    left = chat.upstream.left
    states.stopped(chat)
    assert chat.text(".notice") == "Stopped."
    assert chat.text(".answer .text").endswith("word19")
    chat.said("Stopped.")
    assert chat.upstream.wait(lambda: chat.upstream.left == left + 1)


def test_a_failure_stands_in_the_answer_and_can_be_tried_again(chat: Chat) -> None:
    states.failed(chat)
    assert chat.text(".notice .what").startswith("The answer was interrupted.")
    assert chat.text(".notice .small") == "upstream_broke · The text above is kept."
    assert chat.text(".answer .text") == "".join(WORDS[:5]).strip()
    chat.wait("document.querySelector('.dock [role=alert]').textContent.indexOf('The answer was interrupted.') === 0")
    chat.upstream.cut_after = None
    chat.click(".notice button")
    chat.ended()
    assert chat.texts(".answer .text") == ["".join(WORDS).strip()]
    assert [messages[-1]["content"] for messages in chat.questions()] == [WHY, WHY]


def test_a_refused_question_is_in_the_box_alone_and_the_notice_counts_down(chat: Chat) -> None:
    states.refused(chat)
    chat.wait_text(".notice b", "Too many requests. Try again in 30 s.")
    assert chat.find("#message").get_attribute("value") == WHY
    assert chat.texts(".bubble, .notice button, nav .talk") == []
    chat.run("var now = Date.now; Date.now = function () { return now() + 31000; };")
    chat.wait_text(".notice b", "You can try again now.")
    chat.type("\n")
    chat.ended()
    assert chat.find("#message").get_attribute("value") == ""
    assert chat.texts(".bubble") == [WHY]
    assert chat.texts(".notice") == []
    assert len(chat.questions()) == 1


def test_an_edited_question_that_is_refused_leaves_the_version_before(chat: Chat) -> None:
    chat.asked_and_ended("First?")
    chat.asked_and_ended("Second?")
    chat.door.says("/chat", 429, "requests", retry_after=30)
    chat.click("[data-edit]")
    chat.ask(" Really?")
    chat.wait("document.querySelector('.notice')")
    assert chat.texts(".bubble") == ["First?", "Second?"]
    assert chat.find("#message").get_attribute("value") == "Second? Really?"
    chat.browser.refresh()
    chat.wait_text(".bubble", "Second?")


def test_a_refused_question_stays_where_something_else_was_written_meanwhile(chat: Chat) -> None:
    chat.upstream.before_headers = 1.0
    chat.door.says("/chat", 429, "requests", retry_after=0)
    chat.run(
        "Millstream.limits.start = Millstream.limits.beside = 60000;"  # ms: no other way instead
        "var ask = fetch; fetch = function (a, b) { fetch = ask;"
        " return new Promise(function (then) { window.go = then; }).then(function () { return ask(a, b); }); };"
    )
    chat.ask(WHY)
    chat.type("My next question")
    chat.wait("window.go && (go(), true)")
    chat.wait("document.querySelector('.notice.failed button')")
    assert chat.texts(".bubble") == [WHY]
    assert chat.find("#message").get_attribute("value") == "My next question"
    chat.click(".notice button")
    chat.ended()
    assert chat.texts(".answer .text") == ["".join(WORDS).strip()]
    assert chat.texts(".version") == ["1 of 1", "1 of 1"]


def test_a_lost_connection_is_told_and_loses_nothing(chat: Chat) -> None:
    states.reconnecting(chat)
    assert "Nothing is lost." in chat.text(".state")
    assert chat.text(".answer").startswith("word0")
    chat.said("Connection lost, trying again.")
    chat.door.open()
    chat.wait_text(".state", "Writing…")
    chat.release()
    chat.ended()
    assert chat.text(".answer .text") == "".join(WORDS).strip()
    assert len(chat.questions()) == 1


def test_offline_the_page_says_so_and_asks_when_it_can(chat: Chat) -> None:
    states.offline(chat)
    assert chat.text(".state") == "You are offline. What you wrote is kept."
    chat.type("\n")
    chat.wait("document.querySelector('.state.lost')")
    states.network(chat, offline=False)
    chat.wait("document.querySelectorAll('.facts').length === 2")
    assert chat.texts(".bubble") == [WHY, "A draft"]
    assert len(chat.questions()) == 2


def test_what_the_browser_says_of_the_network_keeps_nothing_from_being_asked(chat: Chat) -> None:
    chat.fresh(host=ELSEWHERE)
    chat.run("Object.defineProperty(navigator, 'onLine', {value: false}); dispatchEvent(new Event('offline'))")
    chat.wait_text(".state", "No internet, but this server answers. You can go on.")
    chat.asked_and_ended()
    assert chat.text(".answer .text") == "".join(WORDS).strip()


@pytest.mark.parametrize("message", ["", "This model's maximum context length is 8192 tokens."])
def test_a_conversation_that_is_too_long_goes_on_in_a_new_one(chat: Chat, message: str) -> None:
    for n in range(6):
        chat.asked_and_ended(f"Question {n}?")
    if message:
        chat.door.says("/chat", 400, "bad_request", message)
    else:
        chat.door.says("/chat", 413, "body_too_large")
    chat.ask("And now?")
    chat.wait_text(".notice b", "This conversation is too long. Your question was not sent.")
    assert len(chat.texts(".bubble")) == 6
    assert chat.find("#message").get_attribute("value") == "And now?"
    chat.click(".notice button")
    assert chat.texts(".bubble") == ["Question 5?"]
    chat.type("\n")
    chat.ended()
    assert [message["content"] for message in chat.questions()[-1] if message["role"] == "user"] == [
        "Question 5?",
        "And now?",
    ]
    assert len(chat.texts("nav .talk")) == 2


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (502, "upstream_refused", "The model is not available right now. Try again, or choose another model."),
        (504, "first_token_timeout", "The model did not answer in time. Try again."),
        (503, "full", "The model is not available right now. Try again, or choose another model."),
        (400, "bad_field", "Something went wrong. So says the door."),
    ],
)
def test_a_failure_tells_visitors_what_they_can_do_and_operators_why(
    chat: Chat, status: int, code: str, said: str
) -> None:
    chat.door.says("/chat", status, code)
    chat.ask()
    chat.wait("document.querySelector('.notice')")
    assert chat.texts(".notice .what > p")[0] == said
    assert ("So says the door." in chat.texts(".notice .small")) == (code != "bad_field")


def test_who_is_signed_out_signs_in_and_goes_on_with_the_draft(chat: Chat) -> None:
    states.signed_out(chat)
    assert not chat.find(".dock").is_displayed()
    chat.door.says("/login", 401, "invalid_key")
    chat.find("#key").send_keys("wrong\n")
    chat.wait_text(".relogin .error", "This access key is not valid.")
    chat.door.says("/login", 429, "login", retry_after=7)
    chat.find("#key").send_keys("\n")
    chat.wait_text(".relogin .error", "Try again in 7 s.")
    chat.door.says("/login", 204)
    chat.find("#key").send_keys("\n")
    chat.wait("!document.querySelector('.relogin')")
    assert chat.find("#message").get_attribute("value") == WHY
    chat.type("\n")
    chat.ended()
    assert len(chat.questions()) == 1


def test_an_answer_goes_on_after_the_session_was_lost_in_it(chat: Chat) -> None:
    states.streaming(chat)
    chat.type("My next question")
    chat.door.shut()
    chat.wait("document.querySelector('.state.lost')")
    for _ in range(4):
        chat.door.says("/streams/", 401, "missing_key")
    chat.door.open()
    chat.wait("document.querySelector('.relogin')")
    chat.door.forget()
    chat.door.says("/login", 204)
    chat.find("#key").send_keys("right\n")
    chat.release()
    chat.ended()
    assert chat.text(".answer .text") == "".join(WORDS).strip()
    assert chat.find("#message").get_attribute("value") == "My next question"
    assert len(chat.questions()) == 1


def test_an_answer_without_text_says_so(chat: Chat) -> None:
    chat.upstream.tokens = []
    chat.ask()
    chat.wait_text(".notice", "The model returned an empty answer.")


def test_an_answer_that_is_gone_says_so(chat: Chat) -> None:
    states.streaming(chat)
    chat.run(
        """MillstreamPage.running.keep();
        localStorage['millstream:left'] = localStorage['millstream:left'].replace(
            /streams\\/[^"]{22}/g, 'streams/AAAAAAAAAAAAAAAAAAAAAA');
        MillstreamPage.store.set = MillstreamPage.talks.save = function () {};"""
    )
    chat.browser.refresh()
    chat.wait_text(".notice b", "This answer is no longer on the server.")
    assert chat.text(".answer .text").startswith("word0")


@pytest.mark.parametrize(
    ("name", "lang"),
    [
        ("empty", "ru"),
        ("failed", "zh"),
        ("reconnecting", "ru"),
        ("settings", "ru"),
        ("versions", "ru"),
        ("attached", "zh"),
        ("too_long", "ru"),
    ],
)
def test_nothing_is_wider_than_the_window(chat: Chat, name: str, lang: str) -> None:
    chat.fresh(lang=lang)
    states.STATES[name](chat)
    try:
        for width in (320, 390, 768, 1280, 2000):
            chat.resize(width)
            assert chat.run("return document.documentElement.scrollWidth - innerWidth") <= 0, width
    finally:
        chat.resize(None)
