"""The reader's language and theme, from a cookie or else from Accept-Language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request

from millstream.settings.page import EXAMPLES, PageSettings
from millstream.views.services import services

LANGUAGES = {"en": "English", "zh": "简体中文", "ru": "Русский"}
THEMES = ("auto", "light", "dark")
# Texts of the page that the settings' [page] can replace.
OWN = {
    "name": "name",
    "hello": "greeting",
    "hello_sub": "sentence",
    "hello_noscript": "sentence",
    "ask": "placeholder",
    "foot": "footer",
}


class Words:
    """The texts of all pages in all languages: templates/words.json."""

    def __init__(self, path: Path) -> None:
        table: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
        self._in = {lang: {key: said[lang] for key, said in table.items()} for lang in LANGUAGES}

    def values(self, lang: str = "en", theme: str = "auto", page: PageSettings | None = None) -> dict[str, Any]:
        """Return the values for every template. `say` has the texts by key; the operator's replace ours."""
        page = page or PageSettings()
        say = self._in[lang] | {word: page.words[key][lang] for word, key in OWN.items() if key in page.words}
        if page.examples:
            say |= {f"example_{n + 1}": "" for n in range(EXAMPLES)}
            say |= {f"example_{n + 1}": question for n, question in enumerate(page.examples[lang])}
        return {"say": say, "lang": lang, "theme": theme, "languages": LANGUAGES, "logo": bool(page.logo)}


def register(app: Flask) -> None:
    app.extensions["words"] = Words(Path(app.root_path) / "templates" / "words.json")
    app.context_processor(preferred)


def preferred() -> dict[str, Any]:
    """Return the template values for this request's sender. The growing page keeps them for its stream."""
    words: Words = current_app.extensions["words"]
    lang, theme = request.cookies.get("millstream_lang", ""), request.cookies.get("millstream_theme", "")
    if lang not in LANGUAGES:
        lang = request.accept_languages.best_match(LANGUAGES) or "en"
    found = words.values(lang, theme if theme in THEMES else "auto", services().settings.page)
    return {**found, "root": request.script_root}
