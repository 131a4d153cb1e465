"""static/millstream.js without a browser: its parser in Node, its language by ESLint, its size."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.system.nginx import ROOT

pytestmark = pytest.mark.system

CLIENT = ROOT / "static/millstream.js"
EVERYWHERE = [CLIENT]  # what old browsers load, too
NODE = ROOT / "tests/node"


def lint(script: str, config: str = "eslint.config.js") -> subprocess.CompletedProcess[str]:
    eslint = NODE / "node_modules/eslint/bin/eslint.js"
    command = ["node", str(eslint), "--config", str(NODE / config), "--stdin", "--stdin-filename", "static/any.js"]
    return subprocess.run(command, cwd=ROOT, input=script, capture_output=True, text=True, timeout=60)


def test_the_parser_reads_the_cases_that_the_server_reads() -> None:
    ran = subprocess.run(["node", "parser.js"], cwd=NODE, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["wrong"] == []
    assert found["reads"] > 1000


def test_every_regular_expression_is_linear_over_its_worst_case() -> None:
    ran = subprocess.run(["node", "regexes.js"], cwd=NODE, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["slow"] == []
    assert found["count"] > 40


@pytest.mark.parametrize("script", EVERYWHERE, ids=lambda script: script.name)
def test_what_all_browsers_load_is_es5_and_needs_no_newer_global(script: Path) -> None:
    ran = lint(script.read_text("utf-8"))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_draws_markdown_is_read_by_chromium_64() -> None:
    for script in [ROOT / "static/rich.js", *(ROOT / "static/rich").glob("*.js")]:
        ran = lint(script.read_text("utf-8"), "eslint.rich.js")
        assert (ran.returncode == 0) == (script.name != "mathml.js"), f"{script}: {ran.stdout}"


@pytest.mark.parametrize("newer", ["[].map(a => a);", "new Promise(open);"])
def test_the_linter_refuses_what_old_browsers_can_not_read(newer: str) -> None:
    ran = lint(newer)
    assert ran.returncode == 1, ran.stdout + ran.stderr


REST = "&format={}&after=0"
SITE = "https://elsewhere.example/chat"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            [
                "POST /chat?via=fetch",
                "POST /streams?via=eventsource&from=fetch",
                "GET /streams/{}?via=eventsource" + REST.format("sse"),
                "GET /streams/{}?via=poll&from=eventsource" + REST.format("json") + "&wait=0",
            ],
        ),
        (
            {"url": SITE, "headers": {"Authorization": "Bearer x"}},
            [
                f"POST {SITE}?via=fetch",
                f"POST {SITE}?via=xhr&from=fetch",
                "POST https://elsewhere.example/streams?via=poll&from=xhr",
                "GET https://elsewhere.example/streams/{}?via=poll" + REST.format("json") + "&wait=0",
            ],
        ),
        ({"url": "/chat?tenant=1", "transport": "fetch"}, ["POST /chat?tenant=1&via=fetch"]),
        (
            {"others": 5},
            ["POST /streams?via=crowded", "GET /streams/{}?via=crowded" + REST.format("json") + "&wait=0"],
        ),
    ],
)
def test_each_request_says_its_transport_and_one_what_it_stepped_down_from(
    options: dict[str, object], expected: list[str]
) -> None:
    ran = subprocess.run(
        ["node", "asks.js", json.dumps(options)], cwd=NODE, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    asked = [f"{method} {url}" for method, url in json.loads(ran.stdout)]
    assert asked == [line.replace("{}", "abcdefghijklmnopqrstuv") for line in expected]


def test_the_client_has_one_global_and_less_than_23_kilobytes() -> None:
    text = CLIENT.read_bytes()
    assert len(text) < 23_000
    assert text.count(b"window.Millstream =") == 1


def test_events_of_calls_are_heard_and_make_no_gap() -> None:
    ran = subprocess.run(["node", "calls.js"], cwd=NODE, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["came"] == ["Hel", {"index": 0, "id": "a", "name": "w", "arguments": "{}"}, "lo"]
    assert found["connected"] == 1
