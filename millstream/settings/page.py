"""The `[page]` table: the host's own name, logo and words on the chat page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from millstream.settings.values import SettingError

LANGUAGES = ("en", "zh", "ru")
TEXTS = ("name", "greeting", "sentence", "placeholder", "footer")
EXAMPLES = 4  # at most
LOGOS = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class PageSettings:
    """Settings of the page. Values that are left out keep the page's defaults."""

    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # key of TEXTS → language → text
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # language → questions
    logo: Path | None = None

    @property
    def logo_type(self) -> str:
        return LOGOS[self.logo.suffix.lower()] if self.logo else ""


def read_page(table: Any, folder: Path) -> PageSettings:
    """Read the table; a relative `logo` is a file beside the settings. Raises SettingError."""
    if not isinstance(table, dict):
        raise SettingError("page has to be a table, [page]")
    known = (*TEXTS, "examples", "logo")
    if unknown := sorted(set(table) - set(known)):
        raise SettingError(f"page.{unknown[0]} is not a setting of the page; there are {', '.join(known)}")
    words = {key: _each(f"page.{key}", table[key], str) for key in TEXTS if key in table}
    examples = _each("page.examples", table["examples"], list) if "examples" in table else {}
    for language, questions in examples.items():
        if len(questions) > EXAMPLES or not all(isinstance(question, str) and question for question in questions):
            raise SettingError(f"page.examples has to be a list of up to {EXAMPLES} questions ({language})")
    return PageSettings(
        words, {lang: tuple(some) for lang, some in examples.items()}, _logo(table.get("logo"), folder)
    )


def _each(name: str, value: Any, kind: type) -> dict[str, Any]:
    """The value in each language: one for all, or a table by language, where English stands for those left out."""
    if isinstance(value, kind):
        return dict.fromkeys(LANGUAGES, value)
    known = isinstance(value, dict) and "en" in value and set(value) <= set(LANGUAGES)
    if known and all(isinstance(item, kind) for item in value.values()):
        return {language: value.get(language, value["en"]) for language in LANGUAGES}
    what = "text" if kind is str else "a list of questions"
    raise SettingError(f"{name} has to be {what}, or a table with `en` and, if wanted, `zh` and `ru`")


def _logo(value: Any, folder: Path) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or Path(value).suffix.lower() not in LOGOS:
        raise SettingError(f"page.logo is {value!r}; it has to be a file that ends in {', '.join(LOGOS)}")
    path = folder / value
    if not path.is_file():
        raise SettingError(f"page.logo is {value!r}, and there is no file {path}")
    return path
