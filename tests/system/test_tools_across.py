"""A tool's loop and a picture, through each kind of upstream, by the makers' own packages.

Behind the kinds stands a second Millstream, whose doors speak all their dialects, and behind that a model that obeys.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import agents
import anthropic
import openai
import pytest

from tests.system.mock_openai import TESTS
from tests.system.obedient import Obedient
from tests.system.package import environment, run
from tests.system.program import Program
from tests.system.server import DEADLINE, Server
from tests.upstreams.spark_server import SparkServer, obey

pytestmark = pytest.mark.system

NODE = Path(sys.executable).with_name("node")  # of requirements-dev.txt: `ai` wants 22
KINDS = {"chat": "openai", "messages": "anthropic", "responses": "responses", "ollama": "ollama"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HI: Any = [{"role": "user", "content": "How is it in Paris?"}]
OPENAI: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ANTHROPIC: Any = [{"name": "weather", "input_schema": SCHEMA}]


@pytest.fixture(scope="module")
def model() -> Iterator[Obedient]:
    with Obedient() as model:
        yield model


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkServer]:
    server = SparkServer(obey)
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(model: Obedient, spark: SparkServer) -> Iterator[Server]:
    with Server({"model": {**model.table, "models": [*KINDS]}}) as behind:
        tables: dict[str, dict[str, object]] = {
            name: {
                "kind": kind,
                "models": [name],
                "base_url": behind.url + ("/v1" if name in ("chat", "responses") else ""),
            }
            for name, kind in KINDS.items()
        }
        tables["spark"] = spark.table
        with Server(tables) as server:
            yield server


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0, timeout=DEADLINE) as client:
        yield client


@pytest.fixture
def claude(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0, timeout=DEADLINE) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
def test_openais_package_calls_a_tool_and_tells_its_result(sdk, kind):
    called = sdk.chat.completions.create(model=kind, messages=HI, tools=OPENAI)
    [call] = called.choices[0].message.tool_calls
    assert (called.choices[0].finish_reason, call.function.name) == ("tool_calls", "weather")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "22 °C"}
    said = sdk.chat.completions.create(model=kind, messages=[*HI, called.choices[0].message, result], tools=OPENAI)
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("It says 22 °C", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (14, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_and_streamed(sdk, kind):
    with sdk.chat.completions.stream(model=kind, messages=HI, tools=OPENAI) as stream:
        [call] = stream.get_final_completion().choices[0].message.tool_calls
    assert (call.id != "", call.function.name, json.loads(call.function.arguments)) == (
        True,
        "weather",
        {"city": "Paris"},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_anthropics_package_calls_a_tool_and_tells_its_result(claude, kind):
    called = claude.messages.create(model=kind, max_tokens=99, messages=HI, tools=ANTHROPIC)
    [call] = called.content
    assert (called.stop_reason, call.name, call.input) == ("tool_use", "weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "22 °C"}
    turns = [*HI, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    with claude.messages.stream(model=kind, max_tokens=99, messages=turns, tools=ANTHROPIC) as stream:
        assert "".join(stream.text_stream) == "It says 22 °C"
        assert stream.get_final_message().stop_reason == "end_turn"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_arrives(sdk, claude, model, kind):
    url = f"data:image/png;base64,{PNG}"
    content: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    sdk.chat.completions.create(model=kind, messages=[{"role": "user", "content": content}])
    ours = model.asked[-1]["messages"][-1]["content"]
    claude.messages.create(
        model=kind,
        max_tokens=99,
        messages=[{"role": "user", "content": [content[0], {"type": "image", "source": source}]}],
    )
    assert ours == model.asked[-1]["messages"][-1]["content"]
    assert [part["type"] for part in ours] == ["text", "image_url"]
    assert ours[1]["image_url"]["url"] == url


def test_spark_calls_a_function_and_hears_its_result(sdk, claude, spark):
    called = sdk.chat.completions.create(model="4.0Ultra", messages=HI, tools=OPENAI).choices[0].message
    assert called.tool_calls[0].function.arguments == '{"city":"Paris"}'
    [call] = claude.messages.create(model="4.0Ultra", max_tokens=99, messages=HI, tools=ANTHROPIC).content
    assert call.input == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "22 °C"}
    said = sdk.chat.completions.create(model="4.0Ultra", messages=[*HI, called, result], tools=OPENAI)
    assert said.choices[0].message.content == "It says 22 °C"
    assert spark.questions[-1]["payload"]["message"]["text"][-1]["content"] == "weather gave: 22 °C"
    with pytest.raises(openai.BadRequestError) as caught:
        url = f"data:image/png;base64,{PNG}"
        picture: Any = [{"type": "image_url", "image_url": {"url": url}}]
        sdk.chat.completions.create(model="4.0Ultra", messages=[{"role": "user", "content": picture}])
    assert caught.value.param == "messages"


# -- packages that call the tool themselves ------------------------------------------------------------------------

CANT = "asks for something that '4.0Ultra' can't do here"  # what each says of a picture for Spark


@pytest.mark.parametrize("name", [*KINDS, "4.0Ultra"])
def test_openais_agents_call_a_tool_over_chat_completions(server, name):
    async def run() -> tuple[str, str]:
        weather = agents.function_tool(lambda city: f"22 in {city}", name_override="weather")
        weather.params_json_schema = {**SCHEMA, "additionalProperties": False}
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
            model = agents.OpenAIChatCompletionsModel(name, client)
            settings = agents.RunConfig(tracing_disabled=True)
            agent = agents.Agent(name="a", model=model, tools=[weather])
            said = await agents.Runner.run(agent, "How is it in Paris?", run_config=settings)
            part = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
            shown: Any = [{"role": "user", "content": [part]}]
            try:
                seen = await agents.Runner.run(agents.Agent(name="b", model=model), shown, run_config=settings)
            except openai.BadRequestError as error:
                return said.final_output, str(error)
            return said.final_output, seen.final_output

    said, seen = asyncio.run(run())
    assert said == "It says 22 in Paris"
    assert (CANT if name == "4.0Ultra" else "Suddenly") in seen


@pytest.mark.parametrize("name", ["chat", "messages", "4.0Ultra"])
def test_the_packages_for_node_call_a_tool_and_show_a_picture(server, model, name):
    before = len(model.asked)
    command = [NODE, "kinds.js", server.url, name, PNG]
    ran = subprocess.run(command, cwd=TESTS / "node", capture_output=True, timeout=2 * DEADLINE, text=True)
    came = {one["name"]: one["value"] for one in map(json.loads, ran.stdout.splitlines())}
    assert len(came) == 6, ran.stderr
    for package, (said, seen) in came.items():
        assert (package, said) == (package, "It says 22 in Paris")
        assert (CANT if name == "4.0Ultra" else "Suddenly") in seen
    pictures = sum(PNG in json.dumps(asked["messages"]) for asked in model.asked[before:])
    assert pictures == (0 if name == "4.0Ultra" else 6)


# -- packages in an environment of their own -----------------------------------------------------------------------

OTHERS = ("anthropic==1.17.0", "langchain-openai==1.7.4", "llm==0.36", "llm-anthropic==0.30")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("others") / "venv", *OTHERS)


@pytest.mark.parametrize("package", ["anthropic", "langchain"])
def test_the_packages_of_others_call_a_tool_and_show_a_picture(server, others, package):
    script = Path(__file__).with_name("others.py")
    came = json.loads(run(others / "python", script, package, server.url, PNG, "chat", "messages", "4.0Ultra"))
    assert [said for said, _ in came] == ["It says 22 in Paris"] * 3
    assert all(words in seen for words, (_, seen) in zip(("Suddenly", "Suddenly", CANT), came, strict=True))


@pytest.fixture(scope="module")
def llm_anthropic(server: Server, others: Path) -> Iterator[Program]:
    environ = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "x"}
    with Program(others / "python", "llm_program.py", folder=Path(__file__).parent, **environ) as program:
        yield program


@pytest.mark.parametrize("name", ["chat", "messages", "4.0Ultra"])
def test_llm_anthropic_calls_a_function_and_shows_a_picture(llm_anthropic, model, tmp_path, name):
    """It knows the names by our list."""

    def llm(*arguments: str) -> str:
        ((status, out, err),) = llm_anthropic.ask(str(tmp_path), arguments)
        assert status == 0, err
        return out

    llm("anthropic", "refresh")
    (tmp_path / "a.png").write_bytes(b64decode(PNG))
    functions = "def weather(city: str) -> str:\n    return '22 in ' + city"
    ask = ("-m", f"anthropic/{name}")
    assert llm(*ask, "--functions", functions, "How is it in Paris?").strip() == "It says 22 in Paris"
    show = partial(llm, *ask, "-a", str(tmp_path / "a.png"), "What is it?")
    if name == "4.0Ultra":
        with pytest.raises(AssertionError, match=re.escape(CANT)):
            show()
    else:
        assert "Suddenly a stream" in show()
        assert PNG in json.dumps(model.asked[-1]["messages"])
