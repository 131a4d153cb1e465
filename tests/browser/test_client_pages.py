"""The pages of docs/clients in Chromium, served as their README says: cp docs/clients/*.html static/"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.cutter import Cutter
from tests.system import server as system
from tests.system.emulator import Emulator
from tests.system.in_turn import InTurn
from tests.system.server import Server
from tests.system.test_gunicorn_conf import copy_to

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
PAGES = ("xhr", "eventsource", "millstream", "jquery")


@pytest.fixture(scope="module")
def examples(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs from a copy of the project, with the examples in its static folder."""
    copy = tmp_path_factory.mktemp("copy")
    copy_to(copy)
    for page in (system.ROOT / "docs/clients").glob("*.html"):
        shutil.copy(page, copy / "static")
    shutil.copy(system.ROOT / "tests/node/node_modules/jquery/dist/jquery.min.js", copy / "static")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "ROOT", copy)
        with Server(upstreams={"emulated": emulator.table}, retry=50) as server:
            yield server


def ask(browser: Chrome, port: int, page: str) -> None:
    browser.get(f"http://localhost:{port}/static/{page}.html")
    browser.find_element(By.ID, "prompt").send_keys("How does a mill work? 水车\n")


def answer(browser: Chrome) -> str:
    return browser.execute_script("return document.getElementById('answer').textContent")


def wait_for(browser: Chrome, text: str) -> None:
    """Until the answer on the page is this text and no other."""
    WebDriverWait(browser, DEADLINE, 0.01).until(lambda browser: answer(browser) == text, text)


@pytest.mark.parametrize("page", PAGES)
def test_each_word_is_shown_before_the_next_is_written(
    browser: Chrome, examples: Server, upstream: Emulator, page: str
) -> None:
    words = upstream.tokens
    upstream.tokens = turns = InTurn(words)
    ask(browser, examples.port, page)
    for n in range(1, len(words) + 1):
        wait_for(browser, "".join(words[:n]))
        turns.seen()
    assert upstream.asked[0]["messages"] == [{"role": "user", "content": "How does a mill work? 水车"}]


@pytest.mark.parametrize("page", PAGES)
def test_a_failure_is_told_behind_what_came(browser: Chrome, examples: Server, upstream: Emulator, page: str) -> None:
    came = "".join(upstream.tokens[:5])
    upstream.gate, upstream.gate_at, upstream.cut_after = threading.Event(), 5, 5
    ask(browser, examples.port, page)
    wait_for(browser, came)
    upstream.gate.set()
    WebDriverWait(browser, DEADLINE, 0.01).until(lambda browser: "broke off" in answer(browser))
    assert answer(browser).startswith(came + " [")


def test_the_page_with_eventsource_goes_on_where_it_was_cut(
    browser: Chrome, examples: Server, upstream: Emulator
) -> None:
    upstream.pace = 0.01
    with Cutter(examples.port, [b"", b"event: start\n", b"word3 ", b"word20 "]) as cutter:
        ask(browser, cutter.port, "eventsource")
        wait_for(browser, upstream.text)
    assert (cutter.cut, len(upstream.asked)) == (4, 1)
