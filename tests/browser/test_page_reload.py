"""A reload in each state of the page: what was asked, answered, typed and attached is there again."""

from __future__ import annotations

import json

import pytest

from tests.browser import states
from tests.browser.chat import Chat

pytestmark = [pytest.mark.browser, pytest.mark.service_worker]

THERE = """(function () {
  function texts(selector) {
    return [].map.call(document.querySelectorAll(selector), function (one) { return one.textContent.trim(); });
  }
  return {bubbles: texts('.bubble'), answers: texts('.answer > .text'), thoughts: texts('.thinking'),
    box: (document.getElementById('message') || {}).value, chips: texts('.chip'), versions: texts('.version'),
    notices: texts('.turns .notice b, .turns .notice > p'), editing: texts('.editing:not([hidden])'),
    talks: texts('nav .talk'),
    fields: [].map.call(document.querySelectorAll('#own textarea'), function (field) { return field.value; })};
}())"""
# Texts that may have grown meanwhile.
SAME = """(function (before) {
  var now = THERE;
  return Object.keys(before).every(function (name) {
    if (typeof before[name] === 'string') return now[name] === before[name];
    return now[name].length === before[name].length && before[name].every(function (text, n) {
      return now[name][n].indexOf(text) === 0;
    });
  });
}(BEFORE))"""


# Whether the draft's two files are in the archive.
WRITTEN = """
var done = arguments[0], files = MillstreamPage.drafts.get(MillstreamPage.conversation.id()).files;
MillstreamPage.attachments.load(files, function (found) {
  done(found.length === 2 && found.every(function (file) { return file.content !== null; }));
});
"""


@pytest.mark.parametrize(
    "name",
    [
        "thinking",
        "reconnecting",
        "stopped",
        "failed",
        "refused",
        "signed_out",
        "editing",
        "versions",
        "deleted",
        "own",
        "too_long",
        "attached",
        "blind",
    ],
)
def test_a_reload_in_each_state_loses_nothing(chat: Chat, name: str) -> None:
    states.STATES[name](chat)
    if name == "editing":
        chat.click(".editing button")
        states.attach(chat)
        chat.click("[data-edit]")
        chat.type(" And when?")
    while name in ("attached", "blind", "editing") and not chat.browser.execute_async_script(WRITTEN):
        pass
    asked, before = len(chat.questions()), chat.run(f"return {THERE}")
    assert any(before.values())
    chat.door.forget()
    chat.door.open()
    chat.browser.refresh()
    chat.wait(SAME.replace("THERE", THERE).replace("BEFORE", json.dumps(before)))
    assert len(chat.questions()) == asked
    if name == "editing":
        chat.click(".editing button")
        chat.wait("document.querySelectorAll('.chip').length === 2")
