from __future__ import annotations

from pathlib import Path

import pytest

from millstream.settings import load
from millstream.settings.values import SettingError


def read(folder: Path, text: str):
    (folder / "settings.toml").write_text(f"[page]\n{text}", "utf-8")
    (folder / "logo.svg").write_text("<svg/>")
    return load({"MILLSTREAM_CONFIG": str(folder / "settings.toml")}).page


def test_a_text_counts_for_all_languages_and_a_table_for_each(tmp_path):
    page = read(tmp_path, 'name = "A"\ngreeting = {en = "B", ru = "В"}\nexamples = ["x", "y"]\nlogo = "logo.svg"')
    assert page.words == {
        "name": dict.fromkeys(("en", "zh", "ru"), "A"),
        "greeting": {"en": "B", "zh": "B", "ru": "В"},
    }
    assert page.examples["zh"] == ("x", "y")
    assert (page.logo, page.logo_type) == (tmp_path / "logo.svg", "image/svg+xml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 'x'", "page.title is not a setting of the page; there are name, greeting"),
        ("name = 5", "page.name has to be text, or a table with `en`"),
        ("name = {zh = 'x'}", "page.name has to be text, or a table with `en`"),
        ("examples = 'x'", "page.examples has to be a list of questions"),
        ("examples = ['a', 'b', 'c', 'd', 'e']", "page.examples has to be a list of up to 4 questions"),
        ("examples = ['']", "page.examples has to be a list of up to 4 questions"),
        ("logo = 'x.exe'", "page.logo is 'x.exe'; it has to be a file that ends in .svg"),
        ("logo = 'none.png'", "page.logo is 'none.png', and there is no file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(SettingError) as raised:
        read(tmp_path, text)
    assert message in str(raised.value)
