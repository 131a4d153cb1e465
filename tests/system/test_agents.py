"""Codex and Claude Code as they install from npm: a tool that edits a file, a cut in mid-answer, a failing upstream.

What came of it, and how often it was paid.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.cutter import Cutter
from tests.system.mock_openai import TESTS
from tests.system.obedient import Obedient
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system

MODULES = TESTS / "node/agents/node_modules"
# Claude Code's own script would only put the program for this machine in its place.
PROGRAMS = {"codex": ".bin/codex", "claude": "@anthropic-ai/claude-code-*/claude"}
CALL = {"cmd": "echo changed > edited.txt"}
CALLS = {"exec_command": CALL, "Bash": {"command": CALL["cmd"], "description": "edits"}}
CODEX = """
model = "MODEL"
model_provider = "ours"
[model_providers.ours]
name = "ours"
base_url = "http://127.0.0.1:PORT/v1"
wire_api = "responses"
env_key = "OUR_KEY"
request_max_retries = 1
stream_max_retries = 1
"""
PLACES = {"codex": b"response.function_call_arguments.delta", "claude": b"content_block_delta"}
DOORS = {"codex": b" /v1/responses", "claude": b" /v1/messages"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Obedient, Server]]:
    with Obedient(pace=0.2) as upstream, Server({"up": upstream.table}, workers=2) as server:
        upstream.call = dict(CALLS)
        yield upstream, server


@pytest.fixture
def upstream(running: tuple[Obedient, Server]) -> Obedient:
    """One that nobody has asked yet."""
    upstream, _ = running
    upstream.asked.clear()
    upstream.broken = 0
    return upstream


@pytest.fixture
def server(running: tuple[Obedient, Server]) -> Server:
    return running[1]


def run(agent: str, port: int, model: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Asks it to edit a file in a folder of its own; it knows no other home."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"HOME": str(home), "PATH": path, "CODEX_HOME": str(home), "OUR_KEY": "x", "LANG": "C.UTF-8"}
    if agent == "codex":
        (home / "config.toml").write_text(CODEX.replace("MODEL", model).replace("PORT", str(port)))
        command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    else:
        command = ["claude", "--dangerously-skip-permissions", "--model", model, "-p"]
        environ |= {
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
            "ANTHROPIC_API_KEY": "x",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "IS_SANDBOX": "1",
        }
    command = [str(next(MODULES.glob(PROGRAMS[agent]))), *command[1:], "edit the file"]
    return subprocess.run(
        command, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3 * DEADLINE
    )


def edited(folder: Path) -> str:
    return (folder / "work" / "edited.txt").read_text()


def turns(upstream: Obedient) -> list[str]:
    """Who spoke last in each question that reached the upstream, without titles and the like."""
    return [asked["messages"][-1]["role"] for asked in upstream.asked if asked.get("tools")]


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_a_tool_edits_a_file(agent, server, upstream, tmp_path):
    ran = run(agent, server.port, "thinks", tmp_path)
    assert (ran.returncode, edited(tmp_path)) == (0, "changed\n"), ran
    assert "It says" in ran.stdout
    assert len(turns(upstream)) == 2


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_a_cut_connection_is_paid_once(agent, server, upstream, tmp_path):
    with Cutter(server.port, [PLACES[agent]], (DOORS[agent],)) as cutter:
        ran = run(agent, cutter.port, "slow", tmp_path)
        assert cutter.cut == 1, (ran, server.text())
    assert (ran.returncode, edited(tmp_path)) == (0, "changed\n"), ran
    assert len(turns(upstream)) == 2


@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_an_upstreams_failure_is_asked_anew(agent, server, upstream, tmp_path):
    ran = run(agent, server.port, "breaks", tmp_path)
    assert (ran.returncode, edited(tmp_path)) == (0, "changed\n"), ran
    assert len(turns(upstream)) == 3


FAILURES = {  # what is said of it, and how often the upstream was asked by an agent that may try once more
    ("codex", "errs"): ("broke off with an error: overloaded. Ask again.", 2),
    ("codex", "busy"): ("429 Too Many Requests", 1),
    ("claude", "errs"): ("broke off with an error: overloaded. Ask again.", 2),
    ("claude", "busy"): ("takes no more requests now (HTTP 429): slow down", 2),
}


@pytest.mark.parametrize(("agent", "model"), FAILURES)
def test_an_upstream_that_fails_each_time_is_told_and_asked_no_more(agent, model, server, upstream, tmp_path):
    ran = run(agent, server.port, model, tmp_path)
    says, times = FAILURES[agent, model]
    assert ran.returncode == 1 and says in ran.stdout + ran.stderr, ran
    assert len(upstream.asked) == times
