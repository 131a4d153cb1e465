"""Where an answer's parts stand in Chromium and Firefox, and what a selection in them keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.test_client import wait
from tests.system.server import Server

pytestmark = pytest.mark.browser

STAGE = """
window.seen = true;
window.stage = (text, width) => {
  document.body.replaceChildren();
  const at = (parent, tag, attributes) => Object.entries(attributes).reduce((made, [name, value]) => {
    made.setAttribute(name, value);
    return made;
  }, parent.appendChild(document.createElement(tag)));
  const list = at(at(document.body, "main", {class: "column"}), "ol", {class: "turns"});
  document.body.style.cssText = `width: ${width}px; padding: 0`; // the rail has gone
  const article = at(at(list, "li", {class: "reply"}), "article", {class: "answer"});
  window.element = at(article, "div", {class: "text", dir: "auto"});
  window.drawing = MillstreamRich.drawing(element, {words: MillstreamPage.drawingWords()});
  drawing.write(text);
  drawing.flush();
};
/* Where the nth text that has `found` in it stands. */
window.box = (found, nth = 0) => {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let node; (node = texts.nextNode());) {
    const from = node.data.indexOf(found);
    if (from < 0 || nth--) continue;
    range.setStart(node, from);
    range.setEnd(node, from + found.length);
    return range.getBoundingClientRect();
  }
};
window.side = (found, around = element) => {
  const inner = box(found), outer = around.getBoundingClientRect();
  return inner.left - outer.left < outer.right - inner.right ? "left" : "right";
};
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module", params=["browser", "firefox"])
def page(request: pytest.FixtureRequest, server: Server) -> Any:
    browser = request.getfixturevalue(request.param)
    browser.get(f"{server.url}/")
    browser.execute_script(STAGE)
    assert wait(browser, "window.MillstreamRich")
    return browser


def staged(page: Any, text: str, script: str, width: int = 720) -> Any:
    return page.execute_script(f"stage(arguments[0], {width}); {script}", text)


def test_each_line_of_code_begins_at_its_indentation(page: Any) -> None:
    lines = [
        "x = 1",
        "print(x)",
        "if x:",
        "    return x",
        "    # why",
        "    'text'",
        "        2.5",
        "class A:",
        "None",
    ]
    offsets = staged(
        page,
        "```python\n" + "\n".join(lines) + "\n```\n\nafter\n",
        """
        const letter = box("x").width, left = element.querySelector("code").getBoundingClientRect().left;
        const code = element.querySelector("code"), texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        const range = document.createRange(), found = [];
        let begins = true;
        for (let node; (node = texts.nextNode());) {
          [...node.data].forEach((character, at) => {
            if (begins && character !== " " && character !== "\\n") {
              range.setStart(node, at);
              range.setEnd(node, at + 1);
              found.push((range.getBoundingClientRect().left - left) / letter);
            }
            begins = character === "\\n" || (begins && character === " ");
          });
        }
        return [found, code.querySelectorAll("span").length];
        """,
    )
    assert offsets[0] == pytest.approx([len(line) - len(line.lstrip()) for line in lines], abs=0.05)
    assert offsets[1] > 5


ARABIC = """الخلاصة:

- افتح الملف
- أعد

1. الخطوة

- [x] تم

> اقتباس

|العمود|ب|
|-|-|
|قيمة|ت|

انتهى.

end
"""
SIDES = "return {}.map((word) => side(word))"
BARS = """
const style = getComputedStyle(element.querySelector("blockquote"));
return [style.borderLeftWidth, style.borderRightWidth];
"""
BOX = "return element.querySelector('input').getBoundingClientRect().left > box('שלום').right"


@pytest.mark.parametrize(
    ("text", "script", "expected"),
    [
        (ARABIC, SIDES.format("['الخلاصة', 'افتح', 'الخطوة', 'تم', 'اقتباس', 'قيمة', 'انتهى']"), ["right"] * 7),
        (ARABIC, "return side('end')", "left"),
        (ARABIC, "return side('افتح', element.querySelector('ul'))", "right"),
        ("- eins\n- שלום\n", SIDES.format("['eins', 'שלום']"), ["left", "left"]),
        ("- שלום\n- `code` of\n", SIDES.format("['שלום', 'of']"), ["right", "right"]),
        ("- [ ] שלום\n", BOX, True),
        ("> שלום\n", BARS, ["0px", "2px"]),
        ("> hello\n", BARS, ["2px", "0px"]),
        ("```sh\nls\n```\n\nשלום\n", SIDES.format("['ls', 'שלום']"), ["left", "right"]),
    ],
)
def test_text_marks_and_bars_stand_where_the_text_begins(page: Any, text: str, script: str, expected: Any) -> None:
    assert staged(page, text, script) == expected


def test_formulas_stand_where_they_belong_in_either_direction(page: Any) -> None:
    staged(page, "$x^2$ שלום\n\n\\[ y = 1 \\]\n\nend\n", "")
    wait(page, "element.querySelectorAll('math').length === 2")
    inline, middle = page.execute_script(
        """
        const all = element.getBoundingClientRect();
        const [first, second] = [...element.querySelectorAll("math")].map((one) => one.getBoundingClientRect());
        return [all.right - first.right, second.left + second.right - all.left - all.right];
        """
    )
    assert inline < 1  # right to left begins at the right
    assert abs(middle) < 2


@pytest.mark.parametrize("first", [1, 98, 998, 1986, 123456789])
def test_a_number_has_room_for_all_its_digits(page: Any, first: int) -> None:
    room = staged(
        page,
        f"{first}. The comet came by.\n{first + 1}. Nothing much.\n{first + 2}. More.\n\nlast\n",
        """
        const list = element.querySelector("ol"), mark = list.parentNode.appendChild(document.createElement("span"));
        mark.textContent = arguments[0].split("\\n")[2].split(" ")[0];
        return parseFloat(getComputedStyle(list).paddingLeft) - mark.getBoundingClientRect().width;
        """,
        width=320,
    )
    assert room >= 0


@pytest.mark.parametrize(
    ("text", "widest"),
    [
        ("|a|b|\n|-|-|\n|one|" + "x" * 150 + "|\n\nend", 390),
        ("A" * 300, 390),
        ("`" + "A" * 300 + "`", 390),
        ("https://a.example/" + "A" * 300, 390),
    ],
)
def test_long_words_are_broken_and_nothing_scrolls_sideways(page: Any, text: str, widest: int) -> None:
    width = "return Math.max(...[element, ...element.querySelectorAll('*')].map((one) => one.scrollWidth))"
    assert staged(page, text, width, 390) <= widest


def test_a_word_of_40_000_letters_is_laid_out_as_quickly_as_words(page: Any) -> None:
    times = """
        return arguments[0].map((text) => {
          stage("");
          const began = performance.now();
          for (let at = 0; at < 40000; at += 4000) {
            drawing.write(text.slice(at, at + 4000));
            drawing.flush();
            element.offsetHeight;
          }
          return performance.now() - began;
        });
        """
    words, letters, code = page.execute_script(times, ["ha " * 13333, "A" * 40000, "`" + "A" * 39999])
    assert letters < 10 * words
    assert code < 10 * words


SELECT = """
const code = element.querySelector("code").firstChild, head = element.querySelector("p").firstChild;
const ends = {code: [code, 8, code, 4], both: [head, 2, code, 8]}[arguments[0]];
document.getSelection().setBaseAndExtent(...ends);
const before = String(document.getSelection());
for (const piece of ["    return 1\\n", "```\\n", "\\nAfter **it", "**.\\n\\nEnd", "."]) {
  drawing.write(piece);
  drawing.flush();
}
drawing.end();
return [before, String(document.getSelection()), element.querySelectorAll(".c-key").length];
"""


@pytest.mark.parametrize(("ends", "last"), [("code", "f(x)"), ("both", "def f(x)")])
def test_what_is_selected_stays_so_when_the_code_is_coloured(page: Any, ends: str, last: str) -> None:
    staged(page, "Before\n\n```python\ndef f(x):\n", "")
    before, after, coloured = page.execute_script(SELECT, ends)
    assert (after, coloured) == (before, 2)
    assert after.endswith(last)


def test_a_selection_across_code_takes_no_language_and_no_button_along(page: Any) -> None:
    staged(page, "Before\n\n```python\nx = 1\n```\n\nAfter\n", "document.getSelection().selectAllChildren(element)")
    copied = page.execute_script("return String(document.getSelection())")
    assert copied.split() == ["Before", "x", "=", "1", "After"]
