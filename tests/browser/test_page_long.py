"""Long conversations: 3,200 messages open at once, and draw no more than is looked at."""

from __future__ import annotations

import pytest

from tests.browser.chat import Chat

pytestmark = pytest.mark.browser

COUNT = 3200
ANSWER = "## Answer {n}\n\nSome **bold** text.\n\n```python\nprint({n})\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
MAKE = """
var talk = arguments[2], done = arguments[3], turns = [], parent = null, turn;
for (var n = 0; n < arguments[0]; n++) {
  turn = {id: talk + n, talk: talk, parent: parent, made: n, role: 'user', text: 'Question ' + n};
  if (n % 2) turn = MillstreamPage.changed(turn, {role: 'assistant', state: 'done', came: 1, first: 1, took: 2,
    text: arguments[1].split('{n}').join(n)});
  turns.push(turn);
  parent = turn.id;
}
MillstreamPage.archive.write({talk: talk, set: {title: talk, at: Date.now(), tip: parent}, turns: turns}, done);
"""
# From the click to the frame in which the last answer stands: each conversation's median of five.
OPEN = """
var talks = arguments[0], done = arguments[1], page = MillstreamPage, n = 0;
var took = talks.map(function () { return []; });
function median(all) { return all.sort(function (a, b) { return a - b; })[2]; }
(function again() {
  if (n === 5 * talks.length) return done(took.map(median));
  page.conversation.open(null);
  setTimeout(function () {
    var began = performance.now();
    page.conversation.open(talks[n % talks.length]);
    (function look() {
      if (!document.querySelector('.reply')) return setTimeout(look, 1);
      requestAnimationFrame(function () { setTimeout(function () {
        took[n % talks.length].push(performance.now() - began);
        n += 1;
        again();
      }); });
    }());
  }, 100);
}());
"""
DISTANCE = "document.documentElement.scrollHeight - pageYOffset - innerHeight"
DRAWN = "document.querySelectorAll('.turns > li').length"


@pytest.fixture
def long(chat: Chat) -> Chat:
    chat.browser.execute_async_script(MAKE, COUNT, ANSWER, "long")
    chat.browser.refresh()
    chat.wait("document.querySelector('nav .talk')")
    return chat


def test_3200_messages_open_nearly_as_quickly_as_64(long: Chat) -> None:
    """110 ms against 81 ms; 78 s where each answer is followed."""
    long.browser.execute_async_script(MAKE, 64, ANSWER, "short")
    long.browser.execute_async_script("MillstreamPage.talks.refresh(arguments[0])")
    short, took = long.browser.execute_async_script(OPEN, ["short", "long"])
    assert took < 30 * short, (short, took)
    assert long.text(".answer .text").startswith("Answer 3199")
    long.wait(f"{DISTANCE} <= 1")


def test_earlier_turns_come_as_the_reader_goes_up_and_what_is_seen_stays(long: Chat) -> None:
    long.click("nav .talk")
    long.wait_text(".answer .text", "Answer 3199")
    drawn = long.run(f"return {DRAWN}")
    assert drawn < 100
    for _ in range(3):
        long.run("window.first = document.querySelector('.turns > li'); scrollTo(0, 0);")
        long.wait("document.querySelector('.turns > li') !== first")
        assert abs(long.run("return first.getBoundingClientRect().top")) < 200
    more = long.run(f"return {DRAWN}")
    assert more > drawn
    long.run("document.querySelector('.earlier-turns').click()")
    assert long.run(f"return {DRAWN}") > more
    for n in range(3):
        long.asked_and_ended(f"And now, {n}?")
    assert long.run(f"return {DRAWN}") < 100
    assert len(long.questions()[-1]) == COUNT + 5


def test_a_match_far_up_is_drawn_and_shown(long: Chat) -> None:
    long.find("#search").send_keys("Question 3000")
    long.wait("document.querySelector('.hit')")
    long.click(".hit")
    long.wait_text(".turns", "Question 3000")
    top = long.run(
        """return [].filter.call(document.querySelectorAll('.bubble'), function (bubble) {
          return bubble.textContent === 'Question 3000'; })[0].getBoundingClientRect().top;"""
    )
    assert 0 <= top < long.run("return innerHeight")
