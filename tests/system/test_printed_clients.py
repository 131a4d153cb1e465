"""The clients of docs/clients and of the README, run as they are printed, against the real model."""

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

CLIENTS = ROOT / "docs/clients"
PRINTED = (CLIENTS / "README.md").read_text("utf-8")
SDKS = PRINTED[PRINTED.index("## OpenAI's packages") :]
NODE = ROOT / "tests/node"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(upstreams={}, max_tokens=50) as server:  # a small model rambles
        yield server


def block(language: str, server: Server, text: str = SDKS) -> str:
    """The one block of this language, for the server that runs."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return found.replace("localhost:8000", f"localhost:{server.port}")


def run(command: list[str], script: str = "", folder: Path = ROOT, **environ: str) -> str:
    """What the command prints; http_proxy would lead it away from this machine."""
    use = {**os.environ, "http_proxy": "", "no_proxy": "*", **environ}
    ran = subprocess.run(command, cwd=folder, env=use, input=script, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("text", [SDKS, (ROOT / "README.md").read_text("utf-8")], ids=["clients", "readme"])
def test_openais_package_for_python(server: Server, text: str) -> None:
    assert len(run([sys.executable, "-"], block("python", server, text))) > 20


PROGRAMS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/programs.md").read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("script", PROGRAMS)
def test_a_program_for_another_api(server: Server, script: str) -> None:
    assert len(run([sys.executable, "-"], script.replace("localhost:8000", f"localhost:{server.port}"))) > 20


def test_openais_package_for_node(server: Server) -> None:
    assert len(run(["node", "--input-type=module", "-"], block("js", server), NODE)) > 20


@pytest.mark.parametrize("command", [[sys.executable, "ask.py"], ["node", "ask.mjs"], ["php", "ask.php"]], ids=str)
def test_a_program(server: Server, command: list[str]) -> None:
    assert len(run(command, folder=CLIENTS, MILLSTREAM_URL=f"http://localhost:{server.port}")) > 20


def test_fetch_event_source(server: Server, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    (tmp_path / "ask.mjs").write_text((CLIENTS / "fetch-event-source.mjs").read_text("utf-8"), "utf-8")
    page = """
        globalThis.document = {hidden: false, addEventListener() {}, removeEventListener() {}};
        globalThis.window = globalThis;
        const {ask} = await import('./ask.mjs');
        await ask(process.env.MILLSTREAM_URL, 'Name three rivers.', text => process.stdout.write(text));
    """
    url = f"http://localhost:{server.port}"
    assert len(run(["node", "--input-type=module", "-"], page, tmp_path, MILLSTREAM_URL=url)) > 20


def test_llm(server: Server, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(block("yaml", server), "utf-8")
    (tmp_path / "keys.json").write_text('{"millstream": "any"}', "utf-8")
    command = [sys.executable, "-m", "llm", "-m", "millstream", "Name three rivers."]
    # The plugin that comes with our model's weights is there for its file only, and lacks what it needs to be loaded.
    assert len(run(command, LLM_USER_PATH=str(tmp_path), LLM_LOAD_PLUGINS="")) > 20
