"""Draws a 200 KB answer in 10,000 pieces in headless Chromium and says how long the script of each frame took."""

from __future__ import annotations

import functools
import http.server
import statistics
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from selenium.webdriver import Chrome  # noqa: E402

from tests.browser.conftest import chromium  # noqa: E402

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PIECES, LENGTH = 10_000, 200_000
SECTION = """## Step {n}: keep the place

A **resume** asks for what comes *after* the last event that was seen, see [the standard](https://html.spec.whatwg.org/)
and `Last-Event-ID`. Each event has a number; a repeat is dropped by its number, and a gap makes the client ask again.

1. The server logs each batch before anybody gets it.
2. The client keeps the **last number** that it has drawn, `{n}`, and says so when it comes back.
   - With EventSource the browser does this by itself.
   - With fetch it is one header.

```python
def resume(stream: str, after: int = {n}) -> Iterator[Event]:
    \"\"\"What has come since `after`.\"\"\"
    for event in store.read(stream, after):
        if event.n > after:  # a repeat is dropped
            yield event
```

| Client | Command | Lost |
|:-------|---------|-----:|
| curl   | `curl -C -` | 0 |
| Script | `Range: bytes={n}-` | 0 |

> 断线以后，**网络断开时：**服务器记得你读到哪一页。

"""
# Hands the pieces over in the pace of a fast model, and measures what runs in each animation frame.
DRAW = """
const [pieces, perTask, done] = arguments;
const frames = [], whole = [];
const request = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (callback) => request((now) => {
  const began = performance.now();
  callback(now);
  frames.push(performance.now() - began);
  document.body.offsetHeight;
  whole.push(performance.now() - began);
});
const words = {code: "Code, {lang}", table: "Table", image: "{alt}", copy: "Copy", copied: "Copied"};
const answer = document.getElementById("answer");
const drawing = MillstreamRich.drawing(answer, {words});
let at = 0;
const timer = setInterval(() => {
  for (let i = 0; i < perTask && at < pieces.length; i++) drawing.write(pieces[at++]);
  if (at < pieces.length) return;
  clearInterval(timer);
  const began = performance.now();
  drawing.end();
  done([frames, whole, performance.now() - began, answer.textContent.length]);
}, 4);
"""


class Pages(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


def sections() -> str:
    text, n = "", 0
    while len(text) < LENGTH:
        n += 1
        text += SECTION.replace("{n}", str(n))
    return text[:LENGTH]


def code() -> str:
    return "```python\n" + "".join(f"value_{n} = resume('{n}', after={n})\n" for n in range(9_000))[: LENGTH - 10]


def one_list() -> str:
    return "".join(f"- item **{n}** with `code` and some words behind it\n" for n in range(6_000))[:LENGTH]


def table() -> str:
    return "| n | word |\n|--|--|\n" + "".join(f"| {n} | words of row {n} |\n" for n in range(9_000))[: LENGTH - 30]


def paragraph() -> str:
    return "Words and **more** words, " * (LENGTH // 26)


def draw(browser: Chrome, url: str, text: str, per_task: int) -> str:
    size = -(-len(text) // PIECES)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    browser.get(url)
    frames, whole, end, length = browser.execute_async_script(DRAW, pieces, per_task)
    assert length > 0.5 * len(text)
    median, high = statistics.median(frames), statistics.quantiles(frames, n=20)[-1]
    layout = statistics.quantiles(whole, n=20)[-1]
    return f"{len(frames):6} {median:9.2f} {high:7.2f} {max(frames):7.1f} {layout:12.2f} {end:8.1f}"


def main() -> None:
    pages = functools.partial(Pages, directory=str(ROOT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/benchmarks/drawing.html"
    print(f"{LENGTH:,} characters in {PIECES:,} pieces; script for each frame in ms")
    print("answer      frames    median    95 %    most 95 % + layout   end()")
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        browser.set_script_timeout(120)
        print(f"sections   {draw(browser, url, sections(), 4)}", flush=True)
        for make in (code, one_list, table, paragraph):  # what no page should be asked for, and faster
            print(f"{make.__name__:10} {draw(browser, url, make(), 12)}", flush=True)
    server.shutdown()


main()
