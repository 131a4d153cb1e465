"""axe-core finds nothing to complain of, in any state and either theme; nor on the operator's page."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chat import DEADLINE, Chat
from tests.browser.states import STATES
from tests.system.idle import BUSY, again
from tests.system.nginx import ROOT

pytestmark = pytest.mark.browser

AXE = ROOT / "tests/node/node_modules/axe-core/axe.min.js"
RUN = """
var done = arguments[arguments.length - 1];
axe.run(document, arguments[0]).then(function (found) {
  done(found.violations.map(function (violation) {
    return violation.nodes.map(function (node) { return node.html + ' ' + node.failureSummary; }).join('; ');
  }));
}, function (error) { done([String(error)]); });
"""
ALL = {"resultTypes": ["violations"]}
COLOURS = {**ALL, "runOnly": ["color-contrast"]}  # what a theme can change
DARK = "document.documentElement.setAttribute('data-theme', 'dark')"


@pytest.mark.parametrize("name", STATES)
def test_axe_finds_no_violation(chat: Chat, name: str) -> None:
    chat.resize(390 if name == "drawer" else None)
    try:
        STATES[name](chat)
        chat.run(AXE.read_text("utf-8"))
        assert chat.browser.execute_async_script(RUN, ALL) == []
        chat.run(DARK)
        assert chat.browser.execute_async_script(RUN, COLOURS) == []
    finally:
        chat.resize(None)


def test_the_doctors_page_says_all_well_and_fits_a_telephone(chat: Chat) -> None:
    chat.fresh("/doctor")
    chat.resize(390)
    try:

        def look() -> str:
            for name, value in (("url", f"http://localhost:{chat.door.port}"), ("idle", "0")):
                chat.run(f"document.getElementById('{name}').value = {value!r}; window.before = 1;")
            chat.browser.find_element(By.CSS_SELECTOR, "input.send").click()
            answered = "return !window.before && !!document.querySelector('form + h2')"
            WebDriverWait(chat.browser, 3 * DEADLINE).until(lambda page: page.execute_script(answered))
            return chat.text("body")

        again(look, lambda page: BUSY in page)
        assert [h2.text for h2 in chat.browser.find_elements(By.TAG_NAME, "h2")][-1] == "All well"
        assert chat.run("return document.documentElement.scrollWidth;") == 390
        chat.run(AXE.read_text("utf-8"))
        assert chat.browser.execute_async_script(RUN, ALL) == []
        chat.run(DARK)
        assert chat.browser.execute_async_script(RUN, COLOURS) == []
    finally:
        chat.resize(None)
