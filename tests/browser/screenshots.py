"""Writes docs/screenshots/: every state of the chat page. Arguments: the states' names, or none for all; before them
`--all`: in every width, theme and language, into docs/screenshots/all/, which is kept out of the repository."""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from tests.browser import states
from tests.browser.chat import Chat
from tests.browser.conftest import HOSTS, chromium
from tests.browser.door import Door
from tests.system.emulator import Emulator
from tests.system.nginx import ROOT
from tests.system.screen import Screen
from tests.system.server import Server

OUT = ROOT / "docs/screenshots"
HEIGHTS = {1280: 900, 768: 900, 390: 844}
# Each state at both widths, in both themes by turns; some in every language.
LOOKS = [(1280, "light", "en"), (390, "dark", "en")]
MORE = {
    name: [(1280, "dark", "zh"), (390, "light", "ru"), (390, "light", "zh")] for name in ("empty", "talk", "failed")
} | {
    name: [(768, "light", "ru"), (1280, "dark", "zh")]
    for name in ("attached", "own", "search", "too_long", "blind", "full")
}
EVERY = list(itertools.product(HEIGHTS, ("light", "dark"), ("en", "zh", "ru")))

TALK = {
    "en": (
        "What happens when the connection drops in the middle of an answer?",
        "## The short version\n\n**Nothing is lost.** The server keeps what it has sent, and the browser asks "
        "for the rest.\n\n```js\nvar source = new EventSource('/chat?prompt=Hi');\nsource.onmessage = show;"
        "\n```\n\n| Client | Resumes with | Asked twice |\n|---|---|--:|\n| Browser | `Last-Event-ID` | 0 |\n"
        "| curl | `curl -C -` | 0 |\n\n- A repeated event is dropped by its number.\n- A gap makes the client "
        "ask again from the last one it saw.\n",
    ),
    "zh": (
        "用中文再说一遍，给不懂技术的同事看。",
        "## 断线以后怎么办\n\n就像看书夹了一张书签：**网络断开时，服务器记得你读到哪一页。**重新连上之后，"
        "它从那一页接着念，不会重复，也不会漏掉。"
        "\n\n1. 你什么都不用做，页面会自己重新连接。\n2. 已经付过费的回答不会再次收费。\n",
    ),
    "ru": (
        "Что будет, если связь оборвётся посреди ответа?",
        "## Коротко\n\n**Ничего не потеряется.** Сервер помнит, что он уже отправил, а браузер просит остальное.\n\n"
        "1. Страница соединится сама.\n2. За ответ не придётся платить дважды.\n",
    ),
}


def talk(chat: Chat) -> None:
    """A finished answer, and one that is being written."""
    lang = chat.run("return document.documentElement.lang")
    for other in ("en", "zh") if lang == "en" else (lang,):
        question, answer = TALK[other]
        chat.upstream.tokens = ["<think>", "Hm.", "</think>", *(answer[n : n + 3] for n in range(0, len(answer), 3))]
        chat.upstream.pace = 0.02
        held = other == "zh" or lang == "ru"
        if held:
            chat.hold(-5)
        due = chat.upstream.sent + len(chat.upstream.tokens) - 5
        chat.ask(question)
        if not held:
            chat.ended()
        elif chat.upstream.wait(lambda due=due: chat.upstream.sent == due):
            chat.wait("document.querySelector('.answer[aria-busy=true] .text').textContent.slice(-2).trim()")


def shoot(chat: Chat, name: str, look: tuple[int, str, str], out: Path) -> None:
    width, theme, lang = look
    states.network(chat, offline=False)
    chat.resize(width, HEIGHTS[width])
    chat.fresh(lang=lang, theme=theme)
    (talk if name == "talk" else states.STATES[name])(chat)
    chat.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    chat.browser.save_screenshot(str(out / f"{name}-{width}-{theme}-{lang}.png"))


def links2(chat: Chat) -> str:
    """The page without script and style, in a terminal."""
    chat.fresh()
    with Screen(["links2", f"http://localhost:{chat.door.port}/"], Path(tempfile.mkdtemp())) as screen:
        screen.wait_for("Welcome to links!")
        screen.press("\r")
        start = screen.wait_for("[ Send ]")
        screen.press("\x1b[B\x1b[BHow does a mill work?\x1b[B\x1b[B\r")
        return f"{start}\n{'=' * 80}\n{screen.wait_for('30 tokens')}\n"


def main(names: list[str]) -> None:
    everything = names[:1] == ["--all"]
    out = OUT / "all" if everything else OUT
    names = names[1:] if everything else names
    out.mkdir(parents=True, exist_ok=True)
    with Emulator() as upstream:
        upstream.model = "gpt-4.1-mini"
        table = {
            **upstream.table,
            "models": ["gpt-4.1-mini", "deepseek-chat"],
            "vision": ["gpt-4.1-mini"],
            "think": True,
        }
        with (
            Server(upstreams={"deepseek": table}, retry=50, hosts=HOSTS) as server,
            Door(server.port) as door,
            chromium(Path(tempfile.mkdtemp())) as browser,
        ):
            chat = Chat(browser, upstream, door)
            for name in names or ["talk", *states.STATES]:
                for look in EVERY if everything else LOOKS + MORE.get(name, []):
                    shoot(chat, name, look, out)
            (out / "links2.txt").write_text(links2(chat), "utf-8")


main(sys.argv[1:])
