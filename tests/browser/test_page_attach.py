"""Files and pictures with a question: chosen, pasted, dropped; sent as parts, kept, seen again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chat import Chat
from tests.browser.test_page_own import PICK

pytestmark = pytest.mark.browser

CHIPS = ".chip .file-name"
# A file of this kind, as the browser makes it: `paste` and `drop` need one.
MAKE = """
function picture(width, height, type, then) {
  var canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
  canvas.width = width; canvas.height = height;
  for (var n = 0; n < 200; n++) {
    pen.fillStyle = 'hsl(' + n * 7 + ',90%,50%)';
    pen.fillRect(n * 13 % width, n * 29 % height, 300, 90);
  }
  canvas.toBlob(then, type);
}
function give(event, files, where) {
  var data = new DataTransfer();
  files.forEach(function (file) { data.items.add(file); });
  var made = event === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})
    : new DragEvent(event, {dataTransfer: data, bubbles: true, cancelable: true});
  document.querySelector(where).dispatchEvent(made);
  return made.defaultPrevented;
}
"""


def choose(chat: Chat, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    chat.find("#ask input[type=file]").send_keys(str(path))


def paste(chat: Chat, width: int, height: int, kind: str = "image/png", count: int = 1) -> None:
    chat.browser.execute_async_script(
        MAKE
        + """var done = arguments[arguments.length - 1], how = arguments;
        picture(how[0], how[1], how[2], function (blob) {
          var files = [];
          for (var n = 0; n < how[3]; n++) files.push(new File([blob], 'shot' + n + '.png', {type: how[2]}));
          done(give('paste', files, '#message'));
        });""",
        width,
        height,
        kind,
        count,
    )
    chat.wait(f"document.querySelectorAll('.chip').length >= {count}")


def parts(chat: Chat) -> Any:
    return chat.upstream.asked[-1]["messages"][-1]["content"]


def test_a_text_file_goes_as_a_part_with_its_name_and_is_seen_again(chat: Chat, tmp_path: Path) -> None:
    choose(chat, tmp_path / "access.log", b"GET /\r\nGET /x\n")
    chat.wait_text(CHIPS, "access.log")
    chat.asked_and_ended("What is slow?")
    assert parts(chat) == [
        {"type": "text", "text": "access.log:\n\nGET /\nGET /x\n"},
        {"type": "text", "text": "What is slow?"},
    ]
    assert chat.texts(".chip") == []
    chat.browser.refresh()
    chat.wait_text(".paper .file-name", "access.log")
    chat.click(".paper")
    chat.wait_text(".sheet pre", "GET /\nGET /x")
    chat.click(".sheet .tool")
    chat.asked_and_ended("And then?")
    assert chat.upstream.asked[-1]["messages"][0]["content"][0]["text"].startswith("access.log:")


def test_a_pasted_picture_is_scaled_and_sent(chat: Chat) -> None:
    paste(chat, 4000, 1000)
    assert chat.text(".chip .small").startswith("2048 × 512, ")
    chat.asked_and_ended("What is it?")
    picture, text = parts(chat)
    kind, _, data = picture["image_url"]["url"].partition(";base64,")
    assert kind in ("data:image/jpeg", "data:image/png")
    assert len(base64.b64decode(data)) > 1000
    assert text == {"type": "text", "text": "What is it?"}
    chat.wait(
        "document.querySelector('.shot img').complete && document.querySelector('.shot img').naturalWidth === 2048"
    )
    chat.browser.refresh()
    chat.wait("(document.querySelector('.shot img') || {}).naturalWidth === 2048")
    chat.click(".shot")
    chat.wait("(document.querySelector('.sheet img') || {}).naturalWidth === 2048")


def test_a_drop_anywhere_is_attached_and_never_leaves_the_page(chat: Chat) -> None:
    script = MAKE + "return give(arguments[0], [new File(['a,b'], 'list.csv', {type: 'text/csv'})], arguments[1]);"
    assert chat.run(script, "dragover", "h2") is True
    assert chat.run("return document.querySelector('#ask').classList.contains('dropping')")
    assert chat.run(script, "drop", "h2") is True
    chat.wait_text(CHIPS, "list.csv")
    assert not chat.run("return document.querySelector('#ask').classList.contains('dropping')")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße 水".encode(), "Grüße 水"),
        ("Grüße 水".encode("utf-16"), "Grüße 水"),
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"", ""),
    ],
)
def test_text_is_read_in_the_encoding_that_it_has(chat: Chat, tmp_path: Path, content: bytes, text: str) -> None:
    choose(chat, tmp_path / "a.txt", content)
    chat.wait_text(CHIPS, "a.txt")
    chat.asked_and_ended("?")
    assert parts(chat)[0]["text"] == f"a.txt:\n\n{text}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.zip", b"PK\x03\x04\x00\x00", "x.zip is neither text nor a picture."),
        ("x.png", b"no picture", "x.png is neither text nor a picture."),
        ("x.txt", b"x" * 2_000_001, "x.txt is too large. The limit is 2.0 MB."),
    ],
)
def test_what_can_not_be_sent_says_so(chat: Chat, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    choose(chat, tmp_path / name, content)
    chat.wait_text(".state", said)
    assert chat.texts(".chip") == []


def test_a_chip_is_removed_by_the_keyboard_and_the_focus_goes_on(chat: Chat, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        choose(chat, tmp_path / name, b"x")
        chat.wait_text(CHIPS, name)
    chat.run("document.querySelector('.chip .tool').focus()")
    chat.run("document.activeElement.click()")
    assert chat.run("return document.activeElement.getAttribute('aria-label')") == "Remove b.txt"
    chat.run("document.activeElement.click()")
    assert chat.run("return document.activeElement.id") == "message"
    assert chat.find(".go").get_attribute("aria-disabled") == "true"


def test_editing_brings_the_files_back_and_a_refusal_too(chat: Chat, tmp_path: Path) -> None:
    choose(chat, tmp_path / "a.txt", b"x")
    chat.wait_text(CHIPS, "a.txt")
    chat.door.says("/chat", 429, "requests", retry_after=30)
    chat.ask("Why?")
    chat.wait("document.querySelector('.notice')")
    chat.wait_text(CHIPS, "a.txt")
    chat.asked_and_ended(" Please?")
    chat.click("[data-edit]")
    chat.wait_text(CHIPS, "a.txt")
    chat.click(".editing button")
    chat.wait("!document.querySelector('.chip')")
    chat.click("[data-edit]")
    chat.wait_text(CHIPS, "a.txt")
    chat.asked_and_ended(" Now?")
    assert parts(chat) == [{"type": "text", "text": "a.txt:\n\nx"}, {"type": "text", "text": "Why? Please? Now?"}]


def test_twenty_pictures_are_pasted_sent_and_kept(chat: Chat) -> None:
    paste(chat, 1600, 1200, count=20)
    chat.asked_and_ended("Which?")
    assert [part["type"] for part in parts(chat)] == ["image_url"] * 20 + ["text"]
    chat.browser.refresh()
    chat.wait("document.querySelectorAll('.shot img').length === 20")


def test_a_model_that_sees_no_pictures_is_said_before_anything_is_sent(chat: Chat) -> None:
    paste(chat, 40, 30)
    chat.asked_and_ended("What is it?")
    chat.run(PICK, "model", "second")
    chat.click("[data-again]")
    chat.wait_text(".state", "second can’t see pictures. Choose another model first.")
    paste(chat, 30, 40)
    chat.type("And this?")
    chat.wait_text(".state.blocked", "second can’t see pictures. Remove them to send your question.")
    assert chat.find(".go").get_attribute("aria-disabled") == "true"
    chat.said("second can’t see pictures. Remove them to send your question.")
    chat.type("\n")
    assert len(chat.questions()) == 1
    chat.click(".state .link")
    assert chat.run("return document.activeElement.id") == "model"
    chat.click(".chip .tool")
    chat.wait("!document.querySelector('.state.blocked')")
    chat.asked_and_ended("")
    assert [message["content"] for message in chat.questions()[1] if message["role"] == "user"] == [
        [{"type": "text", "text": "[shot0.png]"}, {"type": "text", "text": "What is it?"}],
        "And this?",
    ]
    paste(chat, 30, 40)
    chat.run(PICK, "model", "emulated")
    chat.asked_and_ended("And this?")
    assert parts(chat)[0]["type"] == "image_url"


# Ids of files in the archive, those of drafts and those of questions.
KEPT = """
var done = arguments[0], open = indexedDB.open('millstream');
open.onsuccess = function () {
  var all = open.result.transaction('files').objectStore('files').getAll();
  all.onsuccess = function () {
    open.result.close();
    done(all.result.map(function (file) { return file.talk.indexOf('draft-') === 0; }));
  };
};
"""


def until_kept(chat: Chat, drafts: int) -> None:
    """What a reload meets before the browser has written or erased it stays as it was."""
    while chat.browser.execute_async_script(KEPT) != [True] * drafts:
        pass


def test_a_draft_keeps_its_files_over_a_reload_until_it_is_sent(chat: Chat, tmp_path: Path) -> None:
    paste(chat, 40, 30)
    for name in ("a.txt", "b.txt"):
        choose(chat, tmp_path / name, name.encode())
        chat.wait_text(CHIPS, name)
    chat.type("A draft")
    until_kept(chat, 3)
    chat.browser.refresh()
    chat.wait("document.querySelectorAll('.chip').length === 3")
    assert chat.find("#message").get_attribute("value") == "A draft"
    chat.click("nav .new")
    chat.wait("document.querySelectorAll('.chip').length === 3")  # the same draft; its files are read again
    chat.click(".chip:nth-child(2) .tool")
    until_kept(chat, 2)
    chat.browser.refresh()
    chat.wait("document.querySelectorAll('.chip').length === 2")
    chat.asked_and_ended("!")
    assert [part.get("text") for part in parts(chat)] == [None, "b.txt:\n\nb.txt", "A draft!"]
    chat.browser.refresh()
    chat.wait("document.querySelector('.shot')")
    assert chat.texts(".chip") == []
    assert chat.browser.execute_async_script(KEPT) == [False, False]


EVIL = "<img src=x onerror=alert(1)>\u202egpj.exe.txt"


def test_a_hostile_name_and_content_run_nothing(chat: Chat) -> None:
    chat.run(
        MAKE + "give('drop', [new File(['<script>alert(1)</script>'], arguments[0], {type: 'text/html'})], 'body');",
        EVIL,
    )
    chat.run(
        MAKE
        + """give('drop', [new File(['<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' +
        '<image href="/x"/></svg>'], 'x.svg', {type: 'image/svg+xml'})], 'body');"""
    )
    chat.wait("document.querySelectorAll('.chip').length === 2")
    chat.asked_and_ended("?")
    chat.wait_text(".paper .file-name", "x.svg")
    chat.click(".paper")
    chat.wait_text(".sheet pre", "onload")
    assert chat.texts("main img, main script, main svg image, .sheet img") == []
    assert chat.texts(".paper .file-name")[0] == EVIL
