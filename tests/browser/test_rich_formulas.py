"""Formulas in an answer: what is one, how it comes in, and what a hostile one can't do; in Chromium."""

from __future__ import annotations

import pytest
from selenium.webdriver import Chrome

from tests.browser.test_rich import SET_UP, page, server  # noqa: F401

pytestmark = pytest.mark.browser

READ = """
const [text, done] = arguments;
const element = draw(text)[2];
import("/static/vendor/temml.js").then(() => setTimeout(() => {
  const found = [...element.querySelectorAll("math")].map((one) => one.querySelector("annotation").textContent);
  for (const one of element.querySelectorAll("annotation")) one.remove();
  done([found, element]);
}));
"""


def read(page: Chrome, text: str) -> tuple[list[str], str]:  # noqa: F811
    """The TeX of what was drawn as formulas, and all that is seen."""
    found, element = page.execute_async_script(READ, text)
    return found, element.text


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"The roots \(x_{1,2}\) are", ["x_{1,2}"]),
        (
            "\\[\n\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}\n\\]",
            [r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}"],
        ),
        ("So:\n$$\na *b* c_1\n$$\nand $$d$$ and $e$, $f$.", ["a *b* c_1", "d", "e", "f"]),
        ("- $\\alpha$-decay\n- the $n$th\n\n> \\[\n> x = 1\n> \\].\n", [r"\alpha", "n", r"x = 1\text{.}"]),
        ("|a|\n|-|\n|$\\pi r^2$|", [r"\pi r^2"]),
        ("# The $x$ **and $y$**", ["x", "y"]),
        (r"$5 and $10, $5-$10, US$7 and 8$, 5$ or 10$, $ 5$, $HOME:$PATH, $5/month vs 10$/month, \$x$", []),
        (r"\[1\] \[sic\] \[a link\](x) `$x$` `\(x\)` \(never closed", []),
        ("    $x$\n\n```\n$$x$$\n```", []),
        ("$a\n\nb$ and \\[ c\n\nd \\]", []),
    ],
)
def test_what_is_a_formula(page: Chrome, text: str, formulas: list[str]) -> None:  # noqa: F811
    assert read(page, text)[0] == formulas


@pytest.mark.parametrize(
    "text", [r"$\frac{a$", r"\(\nosuch{x}\)", "$" + "{" * 3000 + "$", r"\(" + r"\def\x{\x\x}\x" + r"\)"]
)
def test_what_can_not_be_read_is_shown_as_it_came(page: Chrome, text: str) -> None:  # noqa: F811
    assert read(page, text) == ([], text)


def test_without_mathml_a_formula_keeps_its_backslashes(page: Chrome) -> None:  # noqa: F811
    page.refresh()
    page.execute_script("delete window.MathMLElement")
    assert page.execute_async_script(SET_UP) is None
    text = r"The roots are \(x_{1,2}\) and \[ a \\ b \]"
    assert page.execute_script("return draw(arguments[0])[2].textContent", text) == text
    page.refresh()
    assert page.execute_async_script(SET_UP) is None


def test_a_formula_that_comes_late_tells_of_its_height(page: Chrome) -> None:  # noqa: F811
    told = page.execute_async_script(
        """
        const done = arguments[0], element = document.createElement("div");
        const onheight = () => element.querySelector("math") && done("told");
        const drawing = MillstreamRich.drawing(element, {words: WORDS, onheight});
        drawing.write("$x^2$");
        drawing.end();
        """
    )
    assert told == "told"


def test_half_a_formula_is_held_back_and_an_amount_is_not(page: Chrome) -> None:  # noqa: F811
    text = "Let $\\frac{a}{b}$ be, and \\(c_1\\):\n\n\\[\nz \\\\ e\n\\]\n\nEnd."
    steps = page.execute_script("return draw(arguments[0], true)[1]", text)
    for opening, whole in (("\\frac", "$\\frac{a}{b}$"), ("c_", "\\(c_1\\)"), ("z \\", "\\[\nz \\\\ e\n\\]")):
        assert [step for step in steps if opening in step and whole not in step] == []
    money = "It costs $5 for one and $10 for two of them, \\[sic\\] as I (say) said."
    steps = page.execute_script("return draw(arguments[0], true)[1]", money)
    assert max(n - len(step) for n, step in enumerate(steps, 1)) < 12


HOSTILE = [
    r"\href{javascript:fail()}{x}", r"\href{https://x.example}{x}", r"\url{javascript:fail()}", r"\id{message}{x}",
    r"\includegraphics{https://x.example/a.png}", r"\class{go}{x}", r"\style{position:fixed}{x}", r"\data{a=b}{x}",
    r"\color{url(https://x.example)}{x}", r"\htmlClass{go}{x}", r"\text{<img src=x onerror=fail()>}",
    r"\rule{1000em}{1000em}", r"\kern-1000em x", r"\kern-9000pt x", r"\raisebox{-900em}{x}", r"\hspace{-900em}x",
    r"\tag{<b>}", r"\unicode{x3c}script\unicode{x3e}", r"\label{message} x \ref{message}", r"\bordermatrix{a}",
    r"\begin{array}{" + "c" * 500 + "}a\\end{array}", r"\Huge\Huge\Huge x", r"\mathchoice{a}{b}{c}{d}",
]  # fmt: skip


def test_no_formula_runs_fetches_links_or_leaves_its_place(page: Chrome) -> None:  # noqa: F811
    bad = page.execute_async_script(
        """
        const [texts, done] = arguments, bad = [];
        performance.clearResourceTimings();
        import("/static/vendor/temml.js").then(async () => {
          for (const text of texts) for (const around of ["$x", "\\\\[ x "]) {
            const [, , element] = draw(around + text + (around[0] === "$" ? "$" : " \\\\]"));
            element.style.width = "300px";
            await new Promise((go) => setTimeout(go));
            for (const one of element.querySelectorAll("math *, math")) {
              const odd = [...one.attributes].some((a) => /^(on|src|href|id|xlink|action|data)/.test(a.name));
              if (one.namespaceURI !== "http://www.w3.org/1998/Math/MathML" || odd) bad.push([text, one.outerHTML]);
              const {top, left, height} = one.getBoundingClientRect();
              if ([top, left, height].some((where) => Math.abs(where) > 800)) bad.push([text, one.outerHTML]);
            }
            if (element.scrollWidth > 300 && element.querySelector(".display")) bad.push([text, "wide"]);
          }
          const fetched = performance.getEntriesByType("resource").map((one) => one.name);
          done([bad, failures, fetched.filter((name) => !name.endsWith("/temml.js"))]);
        });
        """,
        HOSTILE,
    )
    assert bad == [[], [], []]
