"""Conversations as files: what was exported can be imported, and hostile files do nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chat import WORDS, Chat
from tests.browser.test_page_find import row

pytestmark = pytest.mark.browser

WHOLE = "".join(WORDS)
TITLES = "nav .talk"
# Keeps what is saved, instead of saving it.
CATCH = """
window.saved = [];
var create = URL.createObjectURL;
URL.createObjectURL = function (blob) {
  blob.text().then(function (text) { saved.push([blob.type, text]); });
  return create(blob);
};
HTMLAnchorElement.prototype.click = function () { window.named = this.download; };
"""


def exported(chat: Chat) -> tuple[str, str]:
    """Name and text of the file that is being saved."""
    chat.wait("saved.length && window.named")
    name, text = chat.run("return [named, saved.pop()[1]]")
    return name, text


def brought(chat: Chat, path: Path, content: object) -> None:
    """Imports this file through the settings menu."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    chat.click("[aria-controls=settings]")
    chat.find("#settings input[type=file]").send_keys(str(path))


def all_kept(chat: Chat) -> Any:
    return chat.browser.execute_async_script(
        """var done = arguments[0];
        MillstreamPage.archive.talks(function (talks) { MillstreamPage.archive.turns(null, function (turns) {
          done([talks.filter(function (talk) { return !talk.gone; }), turns]); }); });"""
    )


def test_what_was_exported_is_imported_as_it_was(chat: Chat, tmp_path: Path) -> None:
    chat.asked_and_ended("One?")
    chat.asked_and_ended("Two?")
    chat.click("[data-again]")
    chat.wait_text(".reply .version", "2 of 2")
    chat.ended()
    before = all_kept(chat)
    chat.run(CATCH)
    chat.click("[aria-controls=settings]")
    chat.find("#settings .choices button").click()
    name, text = exported(chat)
    assert name == "millstream.json"
    assert (json.loads(text)["format"], json.loads(text)["version"]) == ("millstream", 1)
    chat.fresh()
    brought(chat, tmp_path / "export.json", text)
    chat.wait_text("#settings .small", "Imported: 1")
    talks, turns = all_kept(chat)
    assert [(talk["id"], talk["title"], talk["tip"]) for talk in talks] == [
        (talk["id"], talk["title"], talk["tip"]) for talk in before[0]
    ]
    kept = [{key: turn.get(key) for key in ("id", "parent", "text", "made", "state", "model")} for turn in turns]
    assert kept == [{key: turn.get(key) for key in kept[0]} for turn in before[1]]
    chat.click(TITLES)
    chat.wait_text(".reply .version", "2 of 2")
    brought(chat, tmp_path / "export.json", text)  # once more: nothing is doubled
    chat.wait_text("#settings .small", "Imported: 1")
    assert len(all_kept(chat)[1]) == len(turns)


def test_one_conversation_is_exported_as_markdown(chat: Chat) -> None:
    chat.asked_and_ended("What is a/b: <x>?")
    chat.run(CATCH)
    row(chat, "What is a/b", "Export as Markdown")
    assert exported(chat) == (
        "What is a b x.md",
        f"# What is a/b: <x>?\n\n## You asked\n\nWhat is a/b: <x>?\n\n## Answer\n\n{WHOLE}\n",
    )


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "http://x/"}}],
    },
    {"role": "assistant", "content": "Hello!"},
]


@pytest.mark.parametrize("content", [MESSAGES, {"model": "m", "messages": MESSAGES}, [{"messages": MESSAGES}]])
def test_openais_messages_are_imported(chat: Chat, tmp_path: Path, content: object) -> None:
    brought(chat, tmp_path / "messages.json", content)
    chat.wait_text("#settings .small", "Imported: 1")
    chat.click(TITLES)
    chat.wait_text(".answer .text", "Hello!")
    assert chat.texts(".bubble") == ["Hi\n\n[http://x/]"]
    assert all_kept(chat)[0][0]["own"]["system"] == "Be brief."


EVIL = "<img src=x onerror=alert(1)>"
ATTACK = {
    "conversations": [
        {
            "id": "../../x",
            "title": EVIL,
            "tip": EVIL,
            "own": {"system": [EVIL], "temperature": "1", "model": EVIL},
            "turns": [
                {
                    "id": "a",
                    "parent": "b",
                    "role": "user",
                    "text": EVIL,
                    "files": [{"name": EVIL, "content": "data:text/html,x"}, 5],
                },
                {
                    "id": "b",
                    "parent": "a",
                    "role": "assistant",
                    "text": f"[x](javascript:alert(1)) {EVIL}",
                    "state": "running",
                    "url": "/logout",
                    "key": "k",
                    "model": EVIL,
                    "failure": EVIL,
                    "transport": EVIL,
                },
                {"id": "c", "role": "system", "text": EVIL},
                None,
                {"role": "user", "text": {}},
            ],
        },
        {"turns": "x"},
        None,
    ]
}


def test_a_hostile_file_runs_nothing_and_asks_nothing(chat: Chat, tmp_path: Path) -> None:
    brought(chat, tmp_path / "evil.json", ATTACK)
    chat.wait_text("#settings .small", "Imported: 1")
    chat.click(TITLES)
    chat.wait_text(".answer .text", "onerror")
    assert chat.texts("main img, main script, nav img") == []
    assert (
        chat.run("return [].map.call(document.querySelectorAll('.answer a'), function (a) { return a.href; })") == []
    )
    talks, turns = all_kept(chat)
    assert talks[0]["own"] == {"model": EVIL}
    assert {(turn["id"], turn.get("url"), turn.get("state")) for turn in turns} == {
        ("a", None, None),
        ("b", None, "stopped"),
    }
    assert chat.questions() == []


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "5", '"x"', '{"conversations": 5}', "[1, 2]", "\ufeff{}"])
def test_a_file_without_conversations_says_so(chat: Chat, tmp_path: Path, content: str) -> None:
    brought(chat, tmp_path / "nothing.json", content)
    chat.wait_text("#settings .small", "This file has no conversations.")
    assert all_kept(chat) == [[], []]
