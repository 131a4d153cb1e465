"""An answer drawn as markdown while it grows, in Chromium under the pages' own policy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.system.server import Server

pytestmark = pytest.mark.browser

CASES = [
    '# Title *it*\n\nA **bold** and `code` [link](https://a.example/c "t") word.\n\nNext\n===\n\nlast',
    "- one\n- two **b**\n  - [x] done `x`\n  - [ ] todo\n\n\n- loose\n\n1. a\n2. b\n\n   c\n",
    "1. First\n   ```js\n   let a = 1;\n   ```\n2. Second\n\n> quote\nlazy\n> - more\n\n***\n\nend",
    "text\n\n```python\ndef f(x):\n    return 'a'  # ``` no\n```\n\n~~~~\n```\n~~~\n~~~~\nafter\n",
    "| a | b |  |\n|---|:-:|---|\n| x<br>y | 1 | 12 % |\n| **q** | 2 | 3.5 ms |\n\nafter",
    "Use [one][1] here, and [two].\n\n```\nx\n```\n\n[1]: https://a.example/\n[two]: <https://b.example> 'T'\n",
    "**注意：**请看，这是**“引用”**的。\n\n*重点。*后面",
    "* a\n-x\n\n* a\n- b\n\n    indented\n\n\tcode\n",
    "2 * 3 * 4, snake_case, a_b_c, **open and `open",
    "![alt](https://a.example/x.png) [![i](https://a.example/b)](https://c.example) [rel](a/b.md) https://bare.example.",
    "line\r\nline\r\n\r\n\U0001f600 emoji \U0001f468\u200d\U0001f469 &amp; &copy; a & b <br> c\\*d\\\n",
    "```\nopen **fence**",
    "It costs $5, \\[1\\] or \\(x_{1,2}\\) and $E = *mc^2*$, a $\\frac{a}\n\n\\[\na \\\\ b\n\\]\n\n$$\nopen\n\nend",
    "   ```sh\n   $ ls\n  - x\n   ```\nx\n\n[not a link] (x) [x",
]
# Lists and tables that begin in one way and go on in another; each is drawn behind each.
LISTS = [
    "- a\n- **b** c\n-\n- [x] done\n- [ ] to do\n  lazy\nline\n- ```js\n  let a\n\n  b\n  ```\n- > q\n- # head\n",
    "7. a\n8. b\n   - n1\n   - n2\n     1. m\n\n        p\n9. c\n\n10. d\n\n    second\n11. e\n1. f\n2) g\n3) h\n",
    "98. a\n99. b\n100. c\n101. d\n\n* x\n\n* # h\n* \\[\n  x\n  \\]\n* y\n+ z\n +  w\n  + v\n    code?\n***\n",
    "* \n* 1\n* \u05e9\u05dc\u05d5\u05dd\n* [r]\n\n  | a | b |\n  |---|---|\n  | 1 | x |\n* - - z\n  - y\n\ntext\n",
    "- a\n- c | d\n:--|--\n- e\n\n[r]: https://r.example\n\n",
    "|a|b|n||\n|:-|:-:|-|-|\n|x<br>y|1|12 %|\n|**q**|2||1|2|\n|\n| `\\|` | $x$ | 3 |\n| z | y | no |\n\n",
    "n | v\n--|--\n1 | \n2 | \n | 3\n4 | 5\nshort\n\n",
    "| 1 |\n|---|\n| 2 |\n| - |\n| \u0645 |\n| 3 |\n- x\n- y\n",
    "para\n\n",
]
# Links in forms, and tags in what is around them: what a model may be made to write by somebody else's words.
TABLE = json.loads(Path(__file__).with_name("hostile.json").read_text("utf-8"))
HOSTILE = [
    *(form.replace("{}", link) for form, link in itertools.product(TABLE["in"], TABLE["links"])),
    *(around.replace("{}", tag) for around, tag in itertools.product(TABLE["around"], TABLE["tags"])),
    *TABLE["odd"],
]
DEEP = [">" * 10_000, "> " * 10_000 + "a", "[" * 10_000, "- " * 10_000 + "a", "*a _b " * 5_000 + "b_ a*" * 5_000]

SET_UP = """
const done = arguments[0];
window.failures = [];
window.fail = () => failures.push("ran");
window.alert = fail;
document.addEventListener("securitypolicyviolation", (event) => failures.push(event.violatedDirective));
window.WORDS = {
  code: "Code, {lang}", table: "Table", image: "Image, not loaded: {alt}", copy: "Copy", copied: "Copied",
};
window.draw = (text, each) => {
  document.body.replaceChildren(document.createElement("div"));
  const element = document.body.firstChild, steps = [];
  const drawing = MillstreamRich.drawing(element, {words: WORDS});
  for (const piece of each ? text.split("") : [text]) {
    drawing.write(piece);
    drawing.flush();
    if (each) steps.push(element.textContent);
  }
  drawing.end();
  return [element.outerHTML, steps, element];
};
import("/static/rich.js").then(() => done(null), (error) => done(String(error)));
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def page(browser: Chrome, server: Server) -> Chrome:
    browser.get(f"{server.url}/no-such-page")  # which has the policy, and no script of its own
    assert browser.execute_async_script(SET_UP) is None
    return browser


@pytest.mark.parametrize("text", CASES)
def test_a_character_at_a_time_ends_as_the_whole_does(page: Chrome, text: str) -> None:
    whole, by_character, plain = page.execute_script(
        "const a = draw(arguments[0])[0], b = draw(arguments[0], true)[0]; return [a, b, /class=.plain/.test(a)]",
        text,
    )
    assert whole == by_character
    assert not plain


def test_lists_and_tables_in_pieces_end_as_the_whole_does(page: Chrome) -> None:
    wrong = page.execute_script(
        """
        let seed = 1;
        const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % 65537 % n;
        return arguments[0].filter((text) => {
          const whole = draw(text)[2], size = 2 + random(30), element = document.createElement("div");
          const drawing = MillstreamRich.drawing(element, {words: WORDS});
          for (let at = 0, to; at < text.length; at = to) {
            drawing.write(text.slice(at, (to = at + 1 + random(size))));
            drawing.flush();
          }
          drawing.end();
          return !element.isEqualNode(whole);
        });
        """,
        [first + second + third for first in LISTS for second in LISTS for third in ("", LISTS[0], LISTS[5])],
    )
    assert wrong == []


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ("", "- **Item** with some [words](https://a.example/) and `code`\n"),
        ("", "1. **Item**\n\n   - with some\n   - words\n\n"),
        ("| a | b | c |\n|---|:-:|---|\n", "| **name** | some words | 1.5 |\n"),
    ],
    ids=["list", "nested", "table"],
)
def test_a_list_or_table_costs_by_what_is_new(page: Chrome, head: str, part: str) -> None:
    """Ten parts behind 100 KB against those behind a few: a table's layout takes 10 times, parsing all 97 times."""
    short, long, kept = page.execute_script(
        """
        const [head, part] = arguments, elements = [];
        function behind(parts) {
          const element = document.body.appendChild(document.createElement("div"));
          const drawing = MillstreamRich.drawing(element, {words: WORDS});
          for (const more of [head + part.repeat(parts), part, part]) { drawing.write(more); drawing.flush(); }
          return [element, drawing, () => {
            const began = performance.now();
            for (let n = 0; n < 10; n++) { drawing.write(part); drawing.flush(); }
            return performance.now() - began;
          }];
        }
        document.body.replaceChildren();
        const [element, drawing, more] = behind(100000 / part.length | 0);
        const first = element.querySelector("strong").firstChild;
        const rounds = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        const least = (times) => Math.min(...times);  // of what others on this machine take, the least
        const costs = rounds.map(() => [behind(5)[2](), more()]);
        drawing.end();
        const kept = element.contains(first) && !element.querySelector(".growing, [style]");
        return [least(costs.map((one) => one[0])), least(costs.map((one) => one[1])), kept];
        """,
        head,
        part,
    )
    assert long < 20 * max(short, 1)
    assert kept


def test_shown_text_is_hardly_ever_taken_back(page: Chrome) -> None:
    steps = page.execute_script("return draw(arguments[0], true)[1]", "\n\n".join(CASES[:5]))
    back = [(old, new) for old, new in itertools.pairwise(steps) if not new.startswith(old)]
    assert len(back) <= 2, back


@pytest.mark.parametrize(
    ("text", "selector", "found"),
    [
        ("**注意：**请看", "strong", "注意："),
        ("# A", "h3.h1", "A"),
        ("###### A", "h6.h4", "A"),
        ("```js\nlet a\n```", ".code[aria-label='Code, js'] pre[tabindex='0'] .c-key", "let"),
        ("```\na\n```", ".code[aria-label='Code'] .copy", "Copy"),
        ("|a|b|\n|-|-|\n|x|12|", ".table[tabindex='0'][aria-label=Table] td.right", "12"),
        ("- [x] b", "li.task", "b"),
        ("![c](https://x.example/)", "a.image[target=_blank][rel='noopener noreferrer']", "Image, not loaded: c"),
    ],
)
def test_what_is_drawn(page: Chrome, text: str, selector: str, found: str) -> None:
    script = "return draw(arguments[0])[2].querySelector(arguments[1])?.textContent"
    assert page.execute_script(script, text, selector) == found


def test_blocks_that_are_final_never_change(page: Chrome) -> None:
    changes = page.execute_script(
        """
        document.body.replaceChildren(document.createElement("div"));
        const element = document.body.firstChild;
        const drawing = MillstreamRich.drawing(element, {words: WORDS});
        drawing.write(arguments[0] + "\\n\\nnext\\n");
        drawing.flush();
        const blocks = [...element.children].slice(0, -1);
        const observer = new MutationObserver(() => {});
        for (const block of blocks) {
          observer.observe(block, {subtree: true, childList: true, characterData: true, attributes: true});
        }
        for (const piece of arguments[1].split("")) { drawing.write(piece); drawing.flush(); }
        drawing.end();
        const same = blocks.every((block, i) => block === element.children[i]);
        return [blocks.length, observer.takeRecords().length, same];
        """,
        CASES[0],
        "\n\n".join(CASES[1:5]),
    )
    assert changes[0] > 2
    assert changes[1:] == [0, True]


def test_nothing_hostile_runs_or_is_fetched(page: Chrome) -> None:
    assert len(HOSTILE) >= 300
    bad = page.execute_script(
        """
        performance.clearResourceTimings();
        const bad = [];
        const allowed = new Set(("div p h3 h4 h5 h6 ul ol li blockquote pre code em strong del a br hr table thead " +
          "tbody tr th td span button input").split(" "));
        for (const text of [...arguments[0], "\\ud83d", "**a\\udc00b"]) for (const each of [false, true]) {
          const [, , element] = draw(text, each);
          for (const one of element.querySelectorAll("*")) {
            const odd = [...one.attributes].some((a) => /^(on|style|src|srcdoc|action)/.test(a.name));
            const link = one.tagName !== "A" || /^(https?|mailto):$/.test(one.protocol);
            if (!allowed.has(one.localName) || odd || !link) bad.push([text, one.outerHTML]);
          }
          for (const one of element.querySelectorAll("button")) one.focus();
        }
        return bad;
        """,
        HOSTILE,
    )
    assert bad == []
    assert page.execute_script(
        "return [failures, performance.getEntriesByType('resource').map((one) => one.name)]"
    ) == [[], []]
    assert page.current_url.endswith("/no-such-page")


@pytest.mark.parametrize("text", DEEP, ids=lambda text: text[:4])
def test_deep_nesting_is_drawn_as_plain_text(page: Chrome, text: str) -> None:
    shown = page.execute_script("return draw(arguments[0])[2].textContent", text)
    assert shown == text


def test_write_draws_in_a_frame_and_tells_of_the_height(page: Chrome) -> None:
    shown = page.execute_async_script(
        """
        const done = arguments[0];
        document.body.replaceChildren(document.createElement("div"));
        const element = document.body.firstChild;
        const onheight = () => done([before, element.textContent]);
        const drawing = MillstreamRich.drawing(element, {words: WORDS, onheight});
        drawing.write("**Hel");
        drawing.write("lo");
        const before = element.textContent;
        """
    )
    assert shown == ["", "Hello"]


def test_an_answer_that_has_ended_keeps_nothing_but_its_elements(page: Chrome) -> None:
    page.execute_cdp_cmd("HeapProfiler.enable", {})
    page.execute_script(
        """
        const [text] = arguments, element = document.createElement("div");
        window.drawings = [];
        window.more = () => {
          const drawing = MillstreamRich.drawing(element.cloneNode(), {words: WORDS});
          for (let at = 0; at < text.length; at += 4000) {
            drawing.write(text.slice(at, at + 4000) + drawings.length);
            drawing.flush();
          }
          drawing.end();
          drawings.push(drawing);
        };
        more();
        """,
        ("A **word** and `more`.\n\n" * 4000),
    )

    def used() -> int:
        page.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        return page.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"]

    before = used()
    page.execute_script("for (let n = 0; n < 5; n++) more();")
    assert used() - before < 5_000_000  # 16 MB with what was parsed
    page.execute_script("drawings = null;")
