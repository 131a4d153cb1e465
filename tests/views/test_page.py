from __future__ import annotations

import re


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
