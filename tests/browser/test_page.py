"""The page in Chromium with JavaScript switched off: a form, and an answer that grows."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.system.emulator import Emulator
from tests.system.server import Server

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
Condition = Callable[[Chrome], bool]
ABSENT = (NoSuchElementException, StaleElementReferenceException)


@pytest.fixture
def page(browser_without_script: Chrome, server: Server) -> Chrome:
    browser_without_script.get(f"http://localhost:{server.port}/")
    return browser_without_script


def wait(page: Chrome, condition: Condition) -> None:
    WebDriverWait(page, DEADLINE, 0.02, ABSENT).until(condition)


def shown(text: str, selector: str) -> Condition:
    return lambda page: text in page.find_element(By.CSS_SELECTOR, selector).text


def cursor_behind(page: Chrome, selector: str) -> bool:
    """Whether the writing cursor stands at the end of this element. (JavaScript of the driver's own still runs.)"""
    element = page.find_element(By.CSS_SELECTOR, selector)
    return page.execute_script("return getComputedStyle(arguments[0], '::after').content", element) == '""'


def ask(page: Chrome, prompt: str) -> None:
    wait(page, lambda page: page.find_element(By.NAME, "prompt").is_displayed())
    page.find_element(By.NAME, "prompt").send_keys(prompt)
    page.find_element(By.CSS_SELECTOR, ".send").click()


def test_words_are_shown_before_the_last_is_written(page: Chrome, upstream: Emulator) -> None:
    upstream.gate = threading.Event()
    ask(page, "How?")
    wait(page, shown("word28", ".answer"))
    assert page.find_element(By.CSS_SELECTOR, ".bubble").text == "How?"
    assert page.find_element(By.CSS_SELECTOR, ".halt").is_displayed()
    assert not page.find_elements(By.CSS_SELECTOR, ".send")
    upstream.gate.set()
    wait(page, shown("emulated-1 · 30 tokens", ".facts"))
    assert page.find_element(By.CSS_SELECTOR, ".text").text.strip() == upstream.text.strip()
    assert not page.find_element(By.CSS_SELECTOR, ".halt").is_displayed()


def test_one_cursor_stands_where_the_text_goes_on(page: Chrome, upstream: Emulator) -> None:
    upstream.gate, upstream.gate_at = threading.Event(), 0
    ask(page, "How?")
    wait(page, lambda page: cursor_behind(page, ".answer"))
    upstream.gate_at = 1  # of requests to come
    upstream.gate.set()
    wait(page, shown("30 tokens", ".facts"))
    assert not cursor_behind(page, ".answer")
    assert not cursor_behind(page, ".text")
    upstream.gate = threading.Event()
    page.find_element(By.CSS_SELECTOR, ".again input[type=submit]").click()
    wait(page, lambda page: not page.find_elements(By.CSS_SELECTOR, ".dock"))
    wait(page, shown("word0", ".text"))
    assert cursor_behind(page, ".text")


def test_stop_ends_the_answer_and_keeps_what_came(page: Chrome, upstream: Emulator) -> None:
    upstream.gate = threading.Event()
    ask(page, "How?")
    wait(page, shown("word28", ".answer"))
    page.find_element(By.CSS_SELECTOR, ".halt").click()
    wait(page, shown("Stopped.", ".notice"))
    assert "word28" in page.find_element(By.CSS_SELECTOR, ".text").text
    assert page.find_element(By.CSS_SELECTOR, ".bubble").text == "How?"
    assert upstream.wait(lambda: upstream.left == 1)


def test_the_next_question_carries_the_conversation(page: Chrome, upstream: Emulator) -> None:
    ask(page, "First?")
    wait(page, shown("30 tokens", ".facts"))
    ask(page, "Second?")
    wait(page, lambda page: len(page.find_elements(By.CSS_SELECTOR, ".question")) == 2)
    wait(page, shown("30 tokens", ".facts"))
    assert upstream.asked[1]["messages"] == [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": upstream.text},
        {"role": "user", "content": "Second?"},
    ]


def test_a_reload_shows_the_same_answer_and_asks_nothing(page: Chrome, upstream: Emulator) -> None:
    upstream.gate = threading.Event()
    ask(page, "How?")
    wait(page, shown("word28", ".answer"))
    before = page.find_element(By.CSS_SELECTOR, ".answer")
    page.refresh()
    wait(page, lambda page: page.find_element(By.CSS_SELECTOR, ".answer") != before)
    wait(page, shown("word28", ".answer"))
    upstream.gate.set()
    wait(page, shown("30 tokens", ".facts"))
    assert page.find_element(By.CSS_SELECTOR, ".text").text.strip() == upstream.text.strip()
    assert len(upstream.asked) == 1


def test_ask_again_asks_again(page: Chrome, upstream: Emulator) -> None:
    ask(page, "How?")
    wait(page, shown("30 tokens", ".facts"))
    before = page.find_element(By.CSS_SELECTOR, ".answer")
    page.find_element(By.CSS_SELECTOR, ".again input[type=submit]").click()
    wait(page, lambda page: page.find_element(By.CSS_SELECTOR, ".answer") != before)
    wait(page, shown("30 tokens", ".facts"))
    assert upstream.asked[0] == upstream.asked[1]


def test_markup_in_the_answer_is_text(page: Chrome, upstream: Emulator) -> None:
    upstream.tokens = ["<scr", "ipt>x</script><b>", "bold</", 'b><img src="//x">', "```\n1 < 2\n```"]
    ask(page, "How?")
    wait(page, shown("5 tokens", ".facts"))
    assert '<script>x</script><b>bold</b><img src="//x">' in page.find_element(By.CSS_SELECTOR, ".text").text
    assert not page.find_elements(By.CSS_SELECTOR, "script, .text b, .text img")
