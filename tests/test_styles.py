"""The pages' style sheets, as old engines read them: they drop a whole rule for one selector that they don't know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "static"
YOUNG = (
    ":focus-within",
    ":focus-visible",
    ":is(",
    ":where(",
    ":has(",
    ":dir(",
    "::marker",
    "::placeholder",
    "::-webkit-",
)
SHEETS = {
    sheet.name: re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.S) for sheet in STATIC.glob("*.css")
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_young_selector_stands_in_rules_of_its_own(name: str) -> None:
    lists = [found.strip() for found in re.findall(r"(?<=[{};])[^@{};]+(?=\{)|^[^@{};]+(?=\{)", SHEETS[name])]
    assert lists
    mixed = [
        selectors
        for selectors in lists
        if len({any(word in one for word in YOUNG) for one in re.split(r",(?![^(]*\))", selectors)}) > 1
    ]
    assert mixed == []
