"""axe-core finds nothing to complain of, in any state and either theme."""

from __future__ import annotations

import pytest

from tests.browser.chat import Chat
from tests.browser.states import STATES
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
