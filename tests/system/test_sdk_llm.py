"""simonw's `llm`, with Millstream as an OpenAI-compatible entry: as straight to the upstream. https://llm.datasette.io"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.system.doors import Door
from tests.system.server import DEADLINE

pytestmark = pytest.mark.system

ENTRY = """
- model_id: ours
  model_name: {model}
  api_base: {url}
  api_key_name: ours
  supports_tools: true
  supports_schema: true
"""
OPTIONS = ["-o", "temperature", "0", "-o", "seed", "1", "-o", "max_tokens", "24"]


def llm(door: Door, *arguments: str) -> str:
    """What the command prints, asked for the model behind the door."""
    with tempfile.TemporaryDirectory(prefix="llm-") as folder:
        Path(folder, "extra-openai-models.yaml").write_text(ENTRY.format(model=door.model, url=door.url))
        # Without plugins: the packaged model's own needs a library that is not here.
        environ = {**os.environ, "LLM_USER_PATH": folder, "LLM_LOAD_PLUGINS": "", "NO_PROXY": "127.0.0.1"}
        ran = subprocess.run(
            [sys.executable, "-m", "llm", "-m", "ours", "--key", door.key, *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * DEADLINE,
            text=True,
        )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("streams", [[], ["--no-stream"]])
@pytest.mark.parametrize("upstream", ["llama.cpp", "mock"])
def test_it_prints_the_same(doors, upstream, streams):
    straight, ours = (llm(door, "Say hello.", *OPTIONS, *streams) for door in doors[upstream])
    assert ours == straight
    assert ours.startswith("Hello!")


def test_it_gives_the_structure_that_it_is_asked_for(doors):
    schema = '{"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}'
    straight, ours = (llm(door, "Is snow white? Answer in JSON.", "--schema", schema) for door in doors["mock"])
    assert ours == straight == '{"answer":"yes"}\n'


def test_it_calls_a_function_and_goes_on(doors):
    functions = "def weather(city: str, unit: str) -> str:\n    return '12 °C in ' + city"
    straight, ours = (
        llm(door, "The weather in Paris and in Rome?", "--functions", functions, "--td") for door in doors["mock"]
    )
    assert ours == straight
    assert "Mild in Paris" in ours


def test_it_says_why_there_is_no_answer(doors):
    door = doors["mock"][1]._replace(model="gpt-none")
    with pytest.raises(AssertionError, match="gpt-none"):
        llm(door, "Hi")
