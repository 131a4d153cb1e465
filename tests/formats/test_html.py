"""The growing page: what it says, what it escapes, what it carries on."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from millstream.events import End, Event, Failure, Meta, Usage
from millstream.formats import Options
from millstream.formats.html import Html, Prose
from millstream.views.preferences import LANGUAGES, Words

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
JINJA = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
WORDS = Words(TEMPLATES / "words.json")


def drawn(name: str, values: dict[str, Any], lang: str = "en") -> str:
    return JINJA.get_template(name).render({**WORDS.values(lang), **values})


OPTIONS = Options(url="/at/streams/abc", root="/at", render=drawn)
QUESTION = {"role": "user", "content": "Why is the sky blue?"}
DONE = Event("done", end=End(model="m", upstream="u", finish_reason="stop"))
HOSTILE = "\"><script>alert('&')</script>\r\n--> ]]> \u2028 \x00\x1b[2J {{ root }} 中文 😀 \\u0022"


def make(messages: list[dict[str, Any]] | None = None) -> Html:
    return Html(Meta(id="abc", owner="", worker="w", created=0, model="m", messages=messages), OPTIONS)


def draw(events: list[Event], end: Event = DONE, messages: list[dict[str, Any]] | None = None) -> str:
    page = make(messages)
    return b"".join([page.opening(), *(page.encode([event]) for event in events), page.closing(end)]).decode()


class Page(HTMLParser):
    """What a browser takes a page for: the answer's text, the hidden fields of each form, all tags, what is open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.forms: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, values := dict(attrs)))
        if tag not in ("br", "input", "meta", "link"):
            self.open.append(tag)
        if tag == "form":
            self.forms.append({"action": values["action"]})
        if tag == "input" and "name" in values:
            self.forms[-1][str(values["name"])] = values["value"]
        self.text += "\n" * (tag == "br")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(text: str) -> str:
    prose = Prose()
    return prose.feed(text) + prose.finish()


def pages() -> list[str]:
    """Every template, with hostile values."""
    said = [Event("reasoning", HOSTILE), Event(text=HOSTILE), Event("reasoning", "x"), Event(text="```\n" + HOSTILE)]
    failed = Event("failed", end=End(HOSTILE, HOSTILE, failure=Failure(HOSTILE, HOSTILE, HOSTILE)))
    talk = [{"role": role, "content": HOSTILE} for role in ("system", "user", "assistant", "user")]
    preset = {"name": HOSTILE, "title": HOSTILE, "locked": True, "default": True, "model": HOSTILE}
    start = {"once": "o", "root": "", "models": [HOSTILE, "b"], "default_model": HOSTILE, "note": HOSTILE}
    error = {"root": "", "status": 404, "message": HOSTILE, "code": HOSTILE}
    whole = [drawn("index.html", {**start, "presets": [preset]}), drawn("error.html", error)]
    return [*whole, draw(said, failed, talk), draw(said, DONE, talk), draw([], failed), draw([], DONE, talk)]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
        ("&amp; \" '", "&#38;amp; &#34; &#39;"),
        ("]]> -->", "]]&#62; --&#62;"),
        ("a\x00b\x1b[2J\x7f\x9b", "a\ufffdb\ufffd[2J\ufffd\ufffd"),
        ("\u2028\u2029\u202e\ufeff", "\u2028\u2029\u202e\ufeff"),
        ("\ud83d", "\ufffd"),
        ("\udc00x", "\ufffdx"),
        ("中文 😀 кот", "中文 😀 кот"),
        ("a\nb\r\nc\rd", "a<br>b<br>c<br>d"),
        ("a\n\n  b\tc", "a<br><br>  b\tc"),
    ],
)
def test_text_is_shown_and_never_markup(text: str, html: str) -> None:
    assert shown(text) == html
    assert html.encode() in make().encode([Event(text=text), Event(text="\n.")])


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\n```py\n  x\n\n y\n```\nb", "a<br><pre>  x\n\n y\n</pre>b"),
        ("```\nx\n```", "<pre>x\n</pre>"),
        ("```\r\nx", "<pre>x</pre>"),
        ("  ~~~ sh\n```\n~~~~\n", "<pre>```\n</pre>"),
        ("````\n```\n````", "<pre>```\n</pre>"),
        ("```\n```py\n```", "<pre>```py\n</pre>"),
        ("```code``` in a line", "```code``` in a line"),
        ("``two``\n`", "``two``<br>`"),
        ("```" + "x" * 100 + "\ny", "```" + "x" * 100 + "<br>y"),
        ("```\n<b>\n", "<pre>&#60;b&#62;\n</pre>"),
    ],
)
def test_fenced_code_keeps_its_spaces_in_a_pre(text: str, html: str) -> None:
    assert shown(text).replace(' tabindex="0"', "") == html


@given(st.lists(st.text(st.sampled_from(list("`~ \r\n<中")), max_size=9)))
@example(["a\r", "\nb"])
@example(["a\r", "", "\n\nb"])
@example(["``", "`", "p\r", "\nx\n``", "`"])
def test_how_the_text_was_cut_makes_no_difference(pieces: list[str]) -> None:
    prose = Prose()
    assert "".join([*map(prose.feed, pieces), prose.finish()]) == shown("".join(pieces))


def test_at_least_a_kilobyte_comes_before_the_first_token() -> None:
    def opening(padding: int) -> bytes:
        return Html(Meta("abc", "", "w", 0, "m"), Options(padding=padding, render=lambda *_: "short")).opening()

    assert len(opening(0)) >= 1024
    assert len(opening(5000)) >= 5000
    assert re.fullmatch(b"short<!-- *-->", opening(0))


def test_the_article_is_empty_while_nothing_was_said() -> None:
    assert re.search(rb'<article class="answer"><!-- *-->$', make([QUESTION]).opening())


def test_every_piece_holds_whole_characters() -> None:
    page, text = make([QUESTION]), "水😀<é\n"
    pieces = [page.opening(), *(page.encode([Event(text=char)]) for char in text), page.HEARTBEAT, page.closing(DONE)]
    assert "水😀&#60;é<br>" in "".join(piece.decode() for piece in pieces)


def test_thoughts_stand_in_a_block_of_their_own_each_time() -> None:
    types = ("reasoning", "reasoning", "message", "message", "reasoning", "message")
    html = draw([Event(kind, f"{n};") for n, kind in enumerate(types)])
    text = re.sub(r"\s*<(/?)(details|div|blockquote|summary).*?>\s*", r"[\1\2]", html[html.index("<!--") :])
    assert "[blockquote]0;1;[/blockquote][/details][div]2;3;[/div][details]" in text
    assert "[blockquote]4;[/blockquote][/details][div]5;[/div][div]" in text


def test_other_choices_and_empty_texts_draw_nothing() -> None:
    assert make().encode([Event(text="b", choice=1), Event(text=""), Event("reasoning", "")]) == b""
    assert make().encode([]) == b""


@pytest.mark.parametrize("answer", ["Rayleigh.", HOSTILE, "```\n水\n```\n"])
def test_the_next_question_carries_the_whole_conversation(answer: str) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": HOSTILE, "name": "é\ud83d"}]
    page = Page(draw([Event("reasoning", "Hm."), *(Event(text=char) for char in answer)], messages=talk))
    stop, again, following = page.forms
    said = re.sub("[\x00\x1b]", "\ufffd", answer)
    assert json.loads(str(following["messages"])) == [*talk, {"role": "assistant", "content": said}]
    assert json.loads(str(again["messages"])) == talk
    assert stop == {"action": "/at/streams/abc/stop#latest", "format": "html"}
    assert {form["action"] for form in (again, following)} == {"/at/chat#latest"}
    assert {(form["format"], form["model"]) for form in (again, following)} == {("html", "m")}


def test_without_a_conversation_the_form_carries_none() -> None:
    _stop, following = Page(draw([Event(text="Hi")])).forms
    assert following == {"action": "/at/chat#latest", "format": "html", "once": "abc", "model": "m"}


def test_earlier_turns_are_drawn_in_their_order_and_system_words_are_not() -> None:
    parts = [{"type": "text", "text": "two\nlines"}, {"type": "image_url", "image_url": {"url": "x"}}]
    talk = [{"role": "system", "content": "secret"}, QUESTION, {"role": "assistant", "content": "<Rayleigh>"}]
    html = make([*talk, {"role": "user", "content": parts}]).opening().decode()
    assert "secret" not in html
    assert re.search(r">Why is the sky blue\?</div>.*>&#60;Rayleigh&#62;</div>.*>two<br>lines", html, re.DOTALL)
    assert "<title>two – Millstream</title>" in html


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        ("upstream_broke", "Ice on", ["The answer was interrupted.", "The text above is kept."]),
        ("upstream_auth", "", ["The model’s server refused:"]),
        ("first_token_timeout", "", ["The model did not answer in time."]),
        ("interrupted", "Ice on", ["The answer was interrupted."]),
    ],
)
def test_a_failure_is_told_in_words_and_can_be_tried_again(code: str, said: str, words: list[str]) -> None:
    failed = Event("failed", end=End("m", "u", failure=Failure("Ask <again>.", "upstream_error", code)))
    text = Page(html := draw([Event(text=said)], failed, [QUESTION])).text
    assert all(word in text for word in [*words, "Ask <again>.", code, said])
    assert ("above is kept" in text) == bool(said)
    assert 'value="Try again"' in html


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (End("m", "u", "stop", Usage(3, 31), "0.0004", "USD"), "m · 31 tokens · 0.0004 USD"),
        (End("m", "u", "stop", Usage(3, 31, "estimated")), "m · about 31 tokens"),
        (End("m", "u", "length"), "Stopped at the length limit. m"),
        (End("m", "u", "cancelled", Usage(3, 2)), "Stopped."),
    ],
)
def test_the_end_tells_the_facts(end: End, words: str) -> None:
    text = Page(draw([Event(text="Hi")], Event("done", end=end))).text
    assert words in " ".join(text.split())
    assert ("Stopped." in text) == (end.finish_reason == "cancelled")


def test_an_answer_without_text_says_so() -> None:
    assert "The model returned an empty answer." in draw([Event("reasoning", "Hm.")])
    assert "The model returned an empty answer." not in draw([Event(text="Hi")])


@pytest.mark.parametrize(
    ("said", "lang"),
    [("你好 world", "zh"), ("こんにちは、世界", "ja"), ("Привет", "ru"), ("Explain the 中 sign", None)],
)
def test_a_turn_names_the_language_that_its_script_tells(said: str, lang: str | None) -> None:
    html = make([{"role": "user", "content": said}]).opening().decode()
    bubbles = [values for _tag, values in Page(html).tags if values.get("class") == "bubble"]
    assert [bubble.get("lang") for bubble in bubbles] == [lang]


@pytest.mark.parametrize("html", pages())
def test_no_page_holds_inline_scripts_or_styles(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert "style" not in {tag for tag, _ in page.tags}
    assert all(
        "src" in values or values["type"] == "application/json" for tag, values in page.tags if tag == "script"
    )
    names = {name for _, values in page.tags for name in values}
    assert not [name for name in names if name == "style" or name.startswith("on")]


def test_a_growing_page_needs_no_script() -> None:
    assert not [html for html in pages()[1:] if "script" in {tag for tag, _ in Page(html).tags}]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_speaks_the_readers_language(lang: str) -> None:
    options = Options(url="/u", render=lambda name, values: drawn(name, values, lang))
    page = Html(Meta(id="a", owner="", worker="w", created=0, model="m", messages=[QUESTION]), options)
    html = page.opening().decode() + str(page.closing(DONE), "utf-8")
    for key in ("you", "answer", "stop", "empty", "again", "send", "foot"):
        assert WORDS.values(lang)["say"][key] in html
    assert f'<html lang="{lang}"' in html


def test_no_control_gets_into_a_growing_page() -> None:
    for html in pages()[2:]:
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]", html)


@pytest.mark.parametrize("html", pages())
def test_every_field_has_a_label_and_every_skip_a_target(html: str) -> None:
    tags = Page(html).tags
    ids = [values["id"] for _, values in tags if "id" in values]
    assert len(ids) == len(set(ids))
    labelled = {values.get("for") for tag, values in tags if tag == "label"}
    assert {values["id"] for tag, values in tags if tag in ("textarea", "select")} <= labelled
    assert {str(values["href"])[1:] for _, values in tags if values.get("class") == "skip"} <= set(ids)


def test_the_start_asks_for_a_model_only_where_there_is_a_choice() -> None:
    values = {"once": "o", "root": "/at", "default_model": "b", "note": ""}
    assert "<select" not in drawn("index.html", {**values, "models": ["b"]})
    html = drawn("index.html", {**values, "models": ["a", "b"]})
    assert '<option value="b" selected>b</option>' in html
    assert Page(html).forms == [{"action": "/at/chat", "format": "html", "once": "o"}]
