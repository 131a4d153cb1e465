"""text/html: a page that grows while it arrives, without scripts.

Browsers from 1996 on draw it as it arrives. It uses plain elements; styles are optional.
Fences of code are CommonMark's: https://spec.commonmark.org/0.31.2/#fenced-code-blocks
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from markupsafe import Markup

from millstream.events import End, Event, Failure, Meta
from millstream.formats import Options

# Safari and old Chromium show nothing until they have this number of bytes.
FIRST_BYTES = 1024

# Control characters (C0, C1) and lone surrogates: not valid in HTML, and unsafe on a terminal.
_HARMFUL = [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)]
_CLEAN = dict.fromkeys(_HARMFUL, "\ufffd")
_ESCAPE = _CLEAN | {ord(char): f"&#{ord(char)};" for char in "<>&\"'"}

_FENCE = re.compile(r" *(`{3,}|~{3,})([^`]*)")
_MAYBE_FENCE = re.compile(r" *(`{0,2}|~{0,2}|`{3,}[^`]*|~{3,}[^`]*)")
_LONGEST_FENCE = 80

# Kana comes before Han, because Japanese text has both.
_SCRIPTS = (("ja", "\u3040-\u30ff"), ("ko", "\uac00-\ud7af"), ("zh", "\u3400-\u9fff"), ("ru", "\u0400-\u04ff"))
_LANGUAGES = tuple((lang, re.compile(f"[{letters}]")) for lang, letters in _SCRIPTS)
_LATIN = re.compile("[A-Za-z]")


class Prose:
    """Turns text into HTML while it arrives. `<br>` ends a line, because IE 7, links2 and lynx lack pre-wrap. `<pre>`
    holds fenced code, so that it keeps its indentation there, too."""

    def __init__(self) -> None:
        self._held = ""  # the start of a line that may still become a fence
        self._begun = False  # the start of the line has been written
        self._fence = ""  # the fence that opened the current code block
        self._cr = False  # a "\n" that follows is the second half of a "\r\n"

    def feed(self, text: str) -> str:
        """Return the HTML for the next piece. A few characters may wait for the next call."""
        if not text:
            return ""
        second_half = self._cr and text[0] == "\n"
        self._cr = text[-1] == "\r"
        lines = text[second_half:].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._go_on(lines[0]) + "".join(self._end_line() + self._go_on(line) for line in lines[1:])

    def finish(self) -> str:
        """Return the HTML for characters that still wait, and close an open code block."""
        rest = self._end_line().removesuffix("<br>") if self._held else ""
        return rest + ("</pre>" if self._fence else "")

    def _go_on(self, part: str) -> str:
        if not self._begun:
            part = self._held + part
            if len(part) <= _LONGEST_FENCE and _MAYBE_FENCE.fullmatch(part):
                self._held = part
                return ""
            self._held, self._begun = "", True
        return part.translate(_ESCAPE)

    def _end_line(self) -> str:
        line, self._held, self._begun = self._held, "", False
        fence = _FENCE.fullmatch(line)
        if fence and not self._fence:
            self._fence = fence[1]
            return '<pre tabindex="0">'
        if fence and fence[1].startswith(self._fence) and not fence[2].strip():
            self._fence = ""
            return "</pre>"
        return line.translate(_ESCAPE) + ("\n" if self._fence else "<br>")


class Html:
    """Writes the conversation, the answer as it arrives, and a form for the next question. A page always starts from
    event 1, whatever position the client has. It never aborts: it describes a failure in words."""

    NAME: ClassVar[str] = "html"
    MEDIA_TYPE: ClassVar[str] = "text/html"
    CONTENT_TYPE: ClassVar[str] = "text/html; charset=utf-8"
    HEARTBEAT: ClassVar[bytes] = b"<!-- ping -->"

    def __init__(self, meta: Meta, options: Options) -> None:
        self._meta = meta
        self._options = options
        self._messages = meta.messages or []
        questions = [_text(message) for message in self._messages if message.get("role") == "user"]
        self._question = questions[-1] if questions else ""
        self._said: list[str] = []  # the next question carries the answer
        self._block = ""  # the type of the events that the open block is for
        self._prose = Prose()

    def opening(self) -> bytes:
        turns = [_turn(message) for message in self._messages if message.get("role") in ("user", "assistant")]
        page = self._draw(
            "stream_opening.html",
            url=self._options.url,
            title=(self._question.strip().splitlines() or [""])[0][:60],
            model=self._meta.model,
            earlier=turns[:-1],
            turns=turns[-1:],
        )
        return f"{page}<!--{' ' * max(self._options.padding, FIRST_BYTES - len(page))}-->".encode()

    def encode(self, batch: list[Event]) -> bytes:
        html = []
        for event in batch:
            if event.type not in ("message", "reasoning") or event.choice or not event.text:
                continue
            if event.type == "message":
                self._said.append(event.text)
            if event.type != self._block:
                html += [self._close_block(), self._open_block(event)]
            html.append(self._prose.feed(event.text))
        return "".join(html).encode()

    def closing(self, event: Event) -> bytes:
        end = event.end or End(model=self._meta.model, upstream="")
        failure = end.failure or Failure("", "server_error", "internal") if event.type == "failed" else None
        said = "".join(self._said).translate(_CLEAN)
        answer = [{"role": "assistant", "content": said}] if said else []
        messages = self._meta.messages
        page = self._draw(
            "stream_closing.html",
            once=self._meta.id,
            model=self._meta.model,
            preset=self._meta.preset,
            said=bool(said),
            stopped=end.finish_reason == "cancelled",
            failure=failure,
            end=end,
            asked=None if messages is None else json.dumps(messages),
            conversation=None if messages is None else json.dumps(messages + answer),
        )
        return (self._close_block() + page).encode()

    def _open_block(self, event: Event) -> str:
        self._block, self._prose = event.type, Prose()
        lang = _language(event.text) or _language(self._question)
        return self._draw(f"stream_{event.type}.html", lang=lang)

    def _close_block(self) -> str:
        ends = {"": "", "message": "</div>", "reasoning": "</blockquote></details>"}
        block, self._block = self._block, ""
        return self._prose.finish() + ends[block]

    def _draw(self, template: str, **values: Any) -> str:
        if self._options.render is None:
            raise ValueError("HTML is drawn with templates: give Options a render")
        return self._options.render(template, {"root": self._options.root, **values}).translate(_CLEAN)


def _text(message: dict[str, Any]) -> str:
    """Return the text of a message: its content, or the text parts of it."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    text, prose = _text(message), Prose()
    # Prose has escaped the text already.
    html = Markup(prose.feed(text) + prose.finish())
    return {"mine": message["role"] == "user", "lang": _language(text), "text": html}


def _language(text: str) -> str:
    """Return the language that a text's script indicates; "" if it indicates none."""
    latin = len(_LATIN.findall(text, 0, 200)) / 4  # a Chinese character weighs as much as four letters
    counts = ((lang, len(letters.findall(text, 0, 200))) for lang, letters in _LANGUAGES)
    return next((lang for lang, count in counts if count > latin), "")
