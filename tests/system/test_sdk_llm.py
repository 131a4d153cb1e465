"""simonw's `llm`, with Millstream as an OpenAI-compatible entry: as straight to the upstream. https://llm.datasette.io"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.system.doors import Door
from tests.system.program import Program

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


def llm(program: Program, door: Door, *arguments: str) -> str:
    """What the command prints, asked for the model behind the door."""
    with tempfile.TemporaryDirectory(prefix="llm-") as folder:
        Path(folder, "extra-openai-models.yaml").write_text(ENTRY.format(model=door.model, url=door.url))
        ((status, out, err),) = program.ask(folder, ["-m", "ours", "--key", door.key, *arguments])
    assert status == 0, err
    return out


@pytest.mark.parametrize("streams", [[], ["--no-stream"]])
@pytest.mark.parametrize("upstream", ["llama.cpp", "mock"])
def test_it_prints_the_same(llm_program, doors, upstream, streams):
    straight, ours = (llm(llm_program, door, "Say hello.", *OPTIONS, *streams) for door in doors[upstream])
    assert ours == straight
    assert ours.startswith("Hello!")


def test_it_gives_the_structure_that_it_is_asked_for(llm_program, doors):
    schema = '{"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}'
    asked = ["Is snow white? Answer in JSON.", "--schema", schema]
    straight, ours = (llm(llm_program, door, *asked) for door in doors["mock"])
    assert ours == straight == '{"answer":"yes"}\n'


def test_it_calls_a_function_and_goes_on(llm_program, doors):
    functions = "def weather(city: str, unit: str) -> str:\n    return '12 °C in ' + city"
    asked = ["The weather in Paris and in Rome?", "--functions", functions, "--td"]
    straight, ours = (llm(llm_program, door, *asked) for door in doors["mock"])
    assert ours == straight
    assert "Mild in Paris" in ours


def test_it_says_why_there_is_no_answer(llm_program, doors):
    door = doors["mock"][1]._replace(model="gpt-none")
    with pytest.raises(AssertionError, match="gpt-none"):
        llm(llm_program, door, "Hi")
