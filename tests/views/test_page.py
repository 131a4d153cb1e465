from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from millstream.views.preferences import LANGUAGES
from millstream.views.scripts import ORDER


def once(client) -> str:
    (word,) = re.findall(r'name="once" value="(.*?)"', client.get("/").text)
    return word


def test_each_page_gives_its_form_another_word_to_be_known_by(client):
    words = {once(client) for _ in range(3)}
    assert "" not in words
    assert len(words) == 3


def test_sending_the_same_page_again_asks_nothing_again(client):
    form = {"prompt": "Hi", "format": "html", "once": once(client)}
    first, again = (client.post("/chat", data=form).headers["Content-Location"] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("accept", "cookies", "expected"),
    [
        ("", {}, ("en", "auto")),
        ("de, zh-CN;q=0.8", {}, ("zh", "auto")),
        ("ru-RU,ru;q=0.9,en;q=0.8", {}, ("ru", "auto")),
        ("ru", {"millstream_lang": "zh", "millstream_theme": "dark"}, ("zh", "dark")),
        ("ru", {"millstream_lang": "xx", "millstream_theme": '"><b>'}, ("ru", "auto")),
    ],
)
def test_the_page_comes_in_the_readers_language_and_theme(client, accept, cookies, expected):
    for name, value in cookies.items():
        client.set_cookie(name, value)
    response = client.get("/", headers={"Accept-Language": accept})
    lang, theme = expected
    assert f'<html lang="{lang}" data-theme="{theme}"' in response.text
    assert response.headers["Vary"] == "Accept-Language, Cookie"


def test_the_growing_page_comes_in_it_too(client):
    client.set_cookie("millstream_lang", "ru")
    page = client.post("/chat", data={"prompt": "Hi", "format": "html"}).text
    assert "Ваш вопрос" in page
    assert "токенов: " in page


def test_every_word_is_there_in_every_language(app):
    table = json.loads(Path(app.root_path, "templates/words.json").read_text("utf-8"))
    for key, said in table.items():
        assert set(said) == set(LANGUAGES), key
        blanks = {lang: sorted(re.findall(r"{\w+}", words)) for lang, words in said.items()}
        assert len({tuple(found) for found in blanks.values()}) == 1, key


def test_every_word_that_is_said_is_there(app):
    root = Path(app.root_path)
    table = json.loads((root / "templates/words.json").read_text("utf-8"))
    files = [*(root / "static/page").glob("*.js"), *(root / "templates").glob("*.html")]
    said = {word for file in files for word in re.findall(r"\bsay(?:\.|\(')(\w+)", file.read_text("utf-8"))}
    assert said - {"theme_", "example_"} - set(table) == set()  # the two have more behind them


def test_the_scripts_come_as_one_that_is_kept(client):
    address = re.search(r'src="(/page.js\?v=\w+)"', client.get("/").text)[1]
    response = client.get(address)
    assert "immutable" in response.headers["Cache-Control"]
    assert client.get("/page.js?v=older").headers["Cache-Control"] == "no-cache"
    assert client.get(address, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    folder = Path(client.application.root_path, "static/page")
    assert {f"{name}.js" for name in (*ORDER, "begin")} == {file.name for file in folder.iterdir()}
    assert all(file.read_text("utf-8") in response.text for file in folder.iterdir() if file.name != "begin.js")
