"""The README's snippets for OpenAI's clients, run as they are printed, against the real model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

SECTION = re.search(r"^## Use it from …\n(.*?)^## ", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(upstreams={}) as server:
        yield server


def block(language: str, server: Server) -> str:
    """The one block of this language, for the server that runs."""
    assert SECTION
    [found] = re.findall(rf"^```{language}\n(.*?)^```", SECTION[1], re.M | re.S)
    return found.replace("localhost:8000", f"localhost:{server.port}")


def run(command: list[str], script: str = "", folder: Path = ROOT, **environ: str) -> str:
    """What the command prints; http_proxy would lead it away from this machine."""
    use = {**os.environ, "http_proxy": "", "no_proxy": "*", **environ}
    ran = subprocess.run(command, cwd=folder, env=use, input=script, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_python(server: Server) -> None:
    assert len(run([sys.executable, "-"], block("python", server))) > 20


def test_javascript(server: Server) -> None:
    script = block("js", server)
    assert len(run(["node", "--input-type=module", "-"], script, ROOT / "tests" / "node")) > 20


def test_llm(server: Server, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(block("yaml", server), "utf-8")
    (tmp_path / "keys.json").write_text('{"millstream": "any"}', "utf-8")
    command = [sys.executable, "-m", "llm", "-m", "millstream", "Name three rivers."]
    # The plugin that comes with our model's weights is there for its file only, and lacks what it needs to be loaded.
    assert len(run(command, LLM_USER_PATH=str(tmp_path), LLM_LOAD_PLUGINS="")) > 20
