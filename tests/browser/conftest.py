"""The browsers, and a server with an upstream that a test leads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.browser import states
from tests.browser.browsers import Firefox, PhantomJS, QtWebKit, Quiet
from tests.browser.chat import ELSEWHERE, WORDS, Chat
from tests.browser.door import Door
from tests.system.emulator import Emulator
from tests.system.nginx import Nginx
from tests.system.server import Server

# Found here and not by Selenium's own manager, which would ask the network.
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SHELL = str(Path(__file__).parent / "headless-shell")  # the same engine in two thirds of the time
DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
FLAGS = (
    "--headless",
    "--no-sandbox",  # it is root who runs the tests in a container
    "--disable-gpu",
    "--in-process-gpu",  # what draws without one needs no process
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-features=BackForwardCache",  # a page that was left would go on taking time
    "--window-size=1280,900",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)
HOSTS = f"localhost,127.0.0.1,{ELSEWHERE}"


@contextmanager
def chromium(profile: Path, script: bool = True, program: str = CHROMIUM) -> Iterator[Chrome]:
    """A browser with a profile of its own; `script` false: with JavaScript switched off."""
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        options.page_load_strategy = "none"  # a growing page has loaded only when it has ended
    options.accept_insecure_certs = True  # the tests' nginx signs its own
    browser = Chrome(options=options, service=ChromeService(executable_path=DRIVER))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium's engine without the windows around it."""
    with chromium(tmp_path_factory.mktemp("profile"), program=SHELL) as browser:
        yield browser


@pytest.fixture(scope="session")
def browser_without_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile"), script=False) as browser:
        yield browser


@pytest.fixture(scope="session")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def qtwebkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QtWebKit]:
    browser = QtWebKit(tmp_path_factory.mktemp("qtwebkit"))
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def phantomjs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhantomJS]:
    browser = PhantomJS(tmp_path_factory.mktemp("phantomjs"))
    yield browser
    browser.quit()


@pytest.fixture(scope="session", params=["browser", "firefox", "qtwebkit", "phantomjs"])
def every_browser(request: pytest.FixtureRequest) -> Any:
    """Chromium, Firefox, QtWebKit and PhantomJS in turn; each has `get` and `execute_script`."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def behind_nginx() -> Iterator[tuple[Emulator, Door]]:
    """One server for the scripted page in every browser, behind the sample nginx.conf."""
    with Emulator() as upstream:
        table = {**upstream.table, "models": ["one", "two"]}
        with (
            Server(upstreams={"emulated": table}, retry=50, open=1, trusted_proxies=1) as server,
            Nginx(server.port) as nginx,
            Door(nginx.port) as door,
        ):
            yield upstream, door


@pytest.fixture(scope="session", params=["browser", "firefox", "qtwebkit", "phantomjs"])
def every_chat(request: pytest.FixtureRequest, behind_nginx: tuple[Emulator, Door]) -> Chat:
    """The scripted page in Chromium, Firefox, QtWebKit and PhantomJS in turn."""
    browser = request.getfixturevalue(request.param)
    return Chat(Quiet(browser) if isinstance(browser, QtWebKit) else browser, *behind_nginx)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def upstream(emulator: Emulator) -> Iterator[Emulator]:
    """As new for each test."""
    emulator.tokens, emulator.pace, emulator.cut_after = list(WORDS), 0.0, None
    emulator.gate, emulator.gate_at = None, -1
    emulator.asked.clear()
    emulator.left = 0
    yield emulator
    if emulator.gate:
        emulator.gate.set()
    emulator.wait(lambda: not emulator.busy)


@pytest.fixture(scope="module")
def server(emulator: Emulator) -> Iterator[Server]:
    with Server(upstreams={"emulated": emulator.table}, retry=50) as server:
        yield server


@pytest.fixture(scope="session")
def behind_door() -> Iterator[tuple[Emulator, Door]]:
    """One server for all tests of the scripted page."""
    with Emulator() as upstream:
        table = {**upstream.table, "models": ["emulated", "second"], "vision": ["emulated"], "think": True}
        with Server(upstreams={"emulated": table}, retry=50, hosts=HOSTS) as server, Door(server.port) as door:
            yield upstream, door


@pytest.fixture(scope="session")
def whole_chat(browser: Chrome, behind_door: tuple[Emulator, Door]) -> Chat:
    return Chat(browser, *behind_door)


@pytest.fixture
def chat(whole_chat: Chat, request: pytest.FixtureRequest) -> Iterator[Chat]:
    """The page as at the first visit; without a service worker, as over http, but where the test is marked so: it
    costs as much again as the page."""
    worker = request.node.get_closest_marker("service_worker")
    states.network(whole_chat, offline=False)
    whole_chat.leave()
    whole_chat.browser.get_log("browser")  # what the tests of other files have left there
    with whole_chat.before_each_page("" if worker else "delete Navigator.prototype.serviceWorker"):
        whole_chat.fresh()
        yield whole_chat
    whole_chat.release()
    errors = [line["message"] for line in whole_chat.browser.get_log("browser") if line["source"] != "network"]
    assert errors == []
