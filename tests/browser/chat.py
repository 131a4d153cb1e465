"""The chat page, and all that stands behind it, led by a test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from selenium.common.exceptions import JavascriptException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.door import Door
from tests.system.emulator import Emulator

DEADLINE = 60.0  # s
ELSEWHERE = "millstream.test"  # this machine, too; but to the page no loopback name
WORDS = [f"word{n} " for n in range(30)]
# The page has read what the browser keeps.
READ = "sessionStorage['millstream:open']"
LOOK = """
var done = arguments[arguments.length - 1];
(function look() { if (CONDITION) done(true); else setTimeout(look, 10); }());
"""


class Chat:
    """A page on `door.port`, an upstream that answers there."""

    def __init__(self, browser: Chrome, upstream: Emulator, door: Door) -> None:
        self.browser, self.upstream, self.door = browser, upstream, door
        if isinstance(browser, Chrome):
            browser.set_script_timeout(DEADLINE)
        self.asked = 0  # questions before this test
        self.look = ("en", "light")

    def fresh(self, path: str = "/", lang: str = "en", theme: str = "light", host: str = "localhost") -> None:
        """An empty page, as at the first visit; upstream and door as they are at first."""
        self.look = (lang, theme)
        origin = f"http://{host}:{self.door.port}"
        self.release()
        self.upstream.gate, self.upstream.gate_at, self.upstream.cut_after = None, -1, None
        self.upstream.finish = "stop"
        self.upstream.tokens, self.upstream.pace, self.upstream.before_headers = list(WORDS), 0.0, 0.0
        self.leave(host)
        self.forget()
        self.browser.delete_all_cookies()
        for name, value in (("lang", lang), ("theme", theme)):
            self.browser.add_cookie({"name": f"millstream_{name}", "value": value})
        self.browser.get(f"{origin}{path}")
        self.wait(f"!document.getElementById('message') || {READ}")
        self.upstream.wait(lambda: not self.upstream.busy)
        self.asked = len(self.upstream.asked)

    def leave(self, host: str = "localhost") -> None:
        """To a page of this origin that does nothing."""
        self.door.forget()
        self.door.open()
        page = f"http://{host}:{self.door.port}/static/favicon.svg"
        if self.browser.current_url != page:
            self.browser.get(page)

    def forget(self) -> None:
        """Erases all that the browser keeps of this origin."""
        origin = self.run("return location.origin")
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self.run("sessionStorage.clear()")

    @contextmanager
    def before_each_page(self, script: str) -> Iterator[None]:
        """Runs this in each page of this tab that is loaded meanwhile, before its own scripts."""
        added = self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    # -- the upstream ---------------------------------------------------------------------------------------------

    def hold(self, at: int = -1) -> None:
        """Lets the upstream wait before the token with this number, until `release()`."""
        self.upstream.gate, self.upstream.gate_at = threading.Event(), at

    def release(self) -> None:
        if self.upstream.gate:
            self.upstream.gate.set()

    def questions(self) -> list[list[dict[str, Any]]]:
        """The messages of what this test has asked."""
        return [asked["messages"] for asked in self.upstream.asked[self.asked :]]

    # -- the page -------------------------------------------------------------------------------------------------

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        """Until the JavaScript expression is true."""
        if isinstance(self.browser, Chrome):  # the page looks itself: one call, where polling makes dozens
            with suppress(JavascriptException):  # another page has come meanwhile
                self.browser.execute_async_script(LOOK.replace("CONDITION", condition))
                return
        waiting = WebDriverWait(self.browser, DEADLINE, 0.02)
        waiting.until(lambda browser: browser.execute_script(f"return !!({condition})"), condition)

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Of the last such element, as text nodes have it; "" where there is none."""
        return (self.texts(selector) or [""])[-1]

    def wait_text(self, selector: str, text: str) -> None:
        """Until the last such element has this in its text."""
        found = f"[].slice.call(document.querySelectorAll({json.dumps(selector)}), -1)"
        self.wait(f"({found}[0] || {{textContent: ''}}).textContent.indexOf({json.dumps(text)}) >= 0")

    def texts(self, selector: str) -> list[str]:
        text = "function (element) { return element.textContent.trim(); }"
        return self.run(f"return [].map.call(document.querySelectorAll(arguments[0]), {text})", selector)

    def click(self, selector: str) -> None:
        """The last one that is there."""
        self.browser.find_elements(By.CSS_SELECTOR, selector)[-1].click()

    def type(self, text: str) -> None:
        self.find("#message").send_keys(text)

    def ask(self, text: str = "How does a mill work?") -> None:
        self.type(f"{text}\n")

    def ended(self) -> None:
        """Waits until nothing is being written any more and all that was asked has its facts."""
        self.wait("document.querySelector('.reply') && !document.querySelector('[aria-busy=true]')")

    def asked_and_ended(self, text: str = "How does a mill work?") -> None:
        self.ask(text)
        self.wait_text(".bubble", text)
        self.ended()

    def said(self, words: str) -> None:
        """Waits until a screen reader has been told."""
        self.wait(f"document.querySelector('.dock [role=status]').textContent === {words!r}")

    def resize(self, width: int | None, height: int = 844) -> None:
        """To a screen of this width, a telephone's below 500; None: the window as it was."""
        if width is None:
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            return
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
