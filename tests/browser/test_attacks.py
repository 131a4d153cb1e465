"""What other sites' pages can do with a reader who has logged in here, in Chromium: nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from millstream.access.keyring import digest
from tests.system.emulator import Emulator
from tests.system.nginx import Nginx
from tests.system.server import Server

pytestmark = pytest.mark.browser

DEADLINE = 60.0  # s
KEY = "ms-anna"
# Each tries to have a question asked, and says when it is over, however.
ATTACKS = """
const there = arguments[0], over = arguments[arguments.length - 1], question = there + '/chat?format=sse&prompt=';
const element = (name, address) => new Promise(done => {
  const made = document.createElement(name);
  made.onload = made.onerror = done;
  made.src = address;
  document.body.append(made);
});
const form = (type, fields, path) => new Promise(done => {
  const frame = document.createElement('iframe'), made = document.createElement('form');
  frame.name = 'f' + Math.random();
  document.body.append(frame, made);
  made.target = frame.name; made.method = 'post'; made.action = there + path; made.enctype = type;
  for (const name in fields) {
    const input = document.createElement('input');
    input.name = name; input.value = fields[name];
    made.append(input);
  }
  frame.onload = done;
  made.submit();
});
const options = {method: 'POST', mode: 'no-cors', credentials: 'include', body: 'prompt=fetch'};
const plain = {headers: {'Content-Type': 'text/plain'}}, asked = {headers: {'Content-Type': 'application/json'}};
const source = new EventSource(question + 'eventsource', {withCredentials: true});
Promise.allSettled([
  element('img', question + 'img'), element('script', question + 'script'), element('iframe', question + 'iframe'),
  element('iframe', there + '/'), element('audio', question + 'audio'), element('video', question + 'video'),
  fetch(there + '/chat', options), fetch(there + '/chat', {...options, ...plain}),
  fetch(there + '/chat', {...options, ...asked, mode: 'cors', body: '{"prompt":"cors"}'}),
  fetch(there + '/v1/chat/completions', {...options, ...plain, body: '{"messages":[{"role":"user","content":"a"}]}'}),
  fetch(question + 'get', {credentials: 'include', mode: 'no-cors', headers: {Accept: 'text/event-stream'}}),
  fetch(there + '/logout', options),
  form('application/x-www-form-urlencoded', {prompt: 'form', format: 'html'}, '/chat'),
  form('multipart/form-data', {prompt: 'form', format: 'html'}, '/chat'),
  form('text/plain', {'{"prompt":"form","stop":"': '"}'}, '/streams'),
  form('application/x-www-form-urlencoded', {}, '/logout'),
  form('application/x-www-form-urlencoded', {key: 'ms-mallory'}, '/login'),
  new Promise(done => { source.onopen = () => done('open'); source.onerror = () => done('refused'); }),
]).then(results => {
  source.close();
  navigator.sendBeacon(there + '/chat', new Blob(['prompt=beacon']));
  over(results[results.length - 1].value);
});
"""

SILENT = "document.head.innerHTML = '<meta name=referrer content=no-referrer>';"


class Elsewhere(BaseHTTPRequestHandler):
    """Another site: an empty page at every address. Counts who comes."""

    def do_GET(self) -> None:
        self.server.hits.append(self.path)
        page = b"<!doctype html><title>Elsewhere</title><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        server.hits = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator(["one ", "two "]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def keyed(upstream: Emulator) -> Iterator[Server]:
    keys = {"anna": {"sha256": digest(KEY)}, "mallory": {"sha256": digest("ms-mallory")}}
    with Server({"emulated": upstream.table}, keys=keys, trusted_proxies=1) as server:
        yield server


@pytest.fixture
def logged_in(browser: Chrome, keyed: Server) -> Iterator[Chrome]:
    log_in(browser, f"http://localhost:{keyed.port}")
    yield browser
    browser.delete_all_cookies()


def log_in(browser: Chrome, url: str) -> None:
    browser.get(f"{url}/")
    assert browser.current_url == f"{url}/login"
    browser.find_element(By.NAME, "key").send_keys(KEY)
    browser.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    WebDriverWait(browser, DEADLINE).until(lambda browser: browser.current_url == f"{url}/")


def cookies(browser: Chrome) -> dict[str, dict]:
    return {cookie["name"]: cookie for cookie in browser.get_cookies()}


@pytest.mark.parametrize("site", ["127.0.0.1", "localhost"], ids=["cross-site", "same-site"])
def test_another_sites_page_asks_nothing_and_changes_nothing(
    logged_in: Chrome, keyed: Server, upstream: Emulator, elsewhere: ThreadingHTTPServer, site: str
) -> None:
    browser, url, asked = logged_in, f"http://localhost:{keyed.port}", len(upstream.asked)
    before = cookies(browser)
    browser.get(f"http://{site}:{elsewhere.server_port}/")
    browser.set_script_timeout(DEADLINE)
    result = browser.execute_async_script(ATTACKS, url)
    assert result == "refused"
    browser.get(f"{url}/")  # behind the beacon
    assert browser.current_url == f"{url}/"  # still logged in,
    assert cookies(browser) == before  # and as oneself
    assert len(upstream.asked) == asked


# Over plain HTTP browsers say nothing of Sec-Fetch-Site, and a page can have them leave out the Referer.
@pytest.mark.parametrize("which", ["browser", "firefox"])
def test_over_plain_http_another_sites_page_asks_an_open_server_nothing(
    request: pytest.FixtureRequest, upstream: Emulator, elsewhere: ThreadingHTTPServer, which: str
) -> None:
    browser, asked = request.getfixturevalue(which), len(upstream.asked)
    with Server({"emulated": upstream.table}, open=1) as server:
        browser.get(f"http://elsewhere.test:{elsewhere.server_port}/")
        told = "window.result = ''; const told = said => { window.result = said; };"
        run = f"{told} (function () {{ {SILENT} {ATTACKS} }})(arguments[0], told)"
        browser.execute_script(run, f"http://millstream.test:{server.port}")
        until = time.monotonic() + DEADLINE
        while not (result := browser.execute_script("return window.result")):
            assert time.monotonic() < until
            time.sleep(0.1)
        assert result == "refused"
        browser.get(f"http://millstream.test:{server.port}/")  # behind the beacon
        assert len(upstream.asked) == asked
        browser.execute_script("new EventSource('/chat?prompt=Hi')")  # one's own page does
        while len(upstream.asked) == asked:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_ones_own_page_asks(logged_in: Chrome, keyed: Server, upstream: Emulator) -> None:
    browser, asked = logged_in, len(upstream.asked)
    browser.set_script_timeout(DEADLINE)
    text = browser.execute_async_script(
        "const over = arguments[0], body = new URLSearchParams({prompt: 'Hi', format: 'text'});"
        "fetch('/chat', {method: 'POST', body}).then(answer => answer.text()).then(over)"
    )
    assert text == "one two "
    assert len(upstream.asked) == asked + 1
    assert browser.execute_script("return document.cookie") == ""  # no script gets at it


def test_a_page_under_a_rebound_name_asks_nothing(browser: Chrome, upstream: Emulator) -> None:
    with Server({"emulated": upstream.table}) as unkeyed:
        asked = len(upstream.asked)
        browser.get(f"http://rebound.test:{unkeyed.port}/healthz")  # an address that everybody gets
        browser.set_script_timeout(DEADLINE)
        result = browser.execute_async_script(
            "const over = arguments[0];"
            "fetch('/chat', {method: 'POST', body: 'Hi', headers: {Accept: 'application/json'}})"
            ".then(answer => answer.json()).then(answer => over(answer.error.code))"
        )
        assert result == "bad_host"
        assert len(upstream.asked) == asked


def test_what_a_model_writes_fetches_nothing(
    logged_in: Chrome, keyed: Server, upstream: Emulator, elsewhere: ThreadingHTTPServer
) -> None:
    there = f"http://127.0.0.1:{elsewhere.server_port}"
    before = upstream.tokens
    upstream.tokens = [
        f"![picture]({there}/markdown) <img src={there}/img> <script src={there}/script></script>",
        f"</div></article><link rel=stylesheet href={there}/css><meta http-equiv=refresh content='0;{there}'>",
        f"<svg><image href={there}/svg></svg><iframe src={there}/frame></iframe>",
        f"\n```html\n<img src={there}/code>\n```",
    ]
    del elsewhere.hits[:]
    logged_in.get(f"http://localhost:{keyed.port}/healthz")  # where no policy keeps the driver from adding a form
    logged_in.execute_script(
        "const form = document.createElement('form'); form.method = 'post'; form.action = '/chat';"
        "form.innerHTML = '<input name=prompt value=Hi><input name=format value=html>';"
        "document.body.append(form); form.submit();"
    )
    wait = WebDriverWait(logged_in, DEADLINE)
    wait.until(lambda browser: browser.find_elements(By.CSS_SELECTOR, ".facts"))
    upstream.tokens = before
    assert "<img src=" in logged_in.find_element(By.CSS_SELECTOR, ".text").text
    assert logged_in.execute_script("return document.readyState") == "complete"
    assert not logged_in.find_elements(By.CSS_SELECTOR, ".text img, .text a, iframe, .answer script, svg image")
    assert elsewhere.hits == []


def test_over_https_the_cookie_is_one_that_no_other_host_can_set(browser: Chrome, keyed: Server) -> None:
    with Nginx(keyed.port, tls=True) as nginx:
        log_in(browser, f"https://localhost:{nginx.tls_port}")
        cookie = cookies(browser)["__Host-millstream"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["path"], cookie["sameSite"]) == (True, True, "/", "Lax")
        browser.delete_all_cookies()
