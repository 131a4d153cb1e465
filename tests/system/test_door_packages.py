"""The makers' own packages for Node, unchanged, at the doors of their dialects."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.mock_openai import TESTS
from tests.system.obedient import WORDS, Obedient
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system

TEXT = "".join(f"{word} " for word in WORDS)
NODE = Path(sys.executable).with_name("node")  # of requirements-dev.txt: `ai` wants 22


def test_each_package_gets_what_it_needs():
    with Obedient() as upstream, Server({"up": upstream.table}, workers=2) as server:
        ran = subprocess.run(
            [NODE, "doors.js", server.url], cwd=TESTS / "node", capture_output=True, timeout=2 * DEADLINE, text=True
        )
    assert ran.returncode == 0, ran.stderr
    came = {one["name"]: one["value"] for one in map(json.loads, ran.stdout.splitlines())}
    numbers, whole = came.pop("resumed")
    assert (numbers, whole) == ([*range(len(numbers))], TEXT)
    assert came == {
        "anthropic": ["tool_use", ["Let me ", {"city": "Paris"}]],
        "openai": TEXT,
        "helper": 6,
        "ollama": TEXT,
        "ai openai": ["It says 22 in Paris", 2, 28, []],
        "ai anthropic": ["It says 22 in Paris", 2, 28, []],
        "ui": [TEXT, True, True],
        "ui over": None,
    }


def test_what_came_survives_the_workers_death():
    """The answers fail, with all that was logged before; each was asked once."""
    with Obedient() as upstream, Server({"up": upstream.table}, workers=2) as server:
        upstream.goes_on.clear()
        command = [NODE, "killed.js", server.url]
        with subprocess.Popen(
            command, cwd=TESTS / "node", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as ran:
            assert ran.stdin and ran.stdout and json.loads(ran.stdout.readline()) == "asked"
            for pid in server.worker_pids():
                os.kill(pid, signal.SIGKILL)
            server.wait_until_ready()
            came = json.loads(ran.communicate("go\n", timeout=2 * DEADLINE)[0])
    before, after = came.pop("words")
    numbers = came.pop("numbers")
    assert (numbers, len(numbers) >= 7) == ([*range(len(numbers))], True)
    assert after.startswith(before) and TEXT.startswith(after) and before
    assert "The worker that served this answer died" in came.pop("failed")
    assert came == {"error": "interrupted", "status": "failed", "same": True}
    assert len(upstream.asked) == 2
