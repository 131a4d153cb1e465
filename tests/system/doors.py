"""The same questions at two doors: straight to an upstream, and through Millstream in front of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil
import requests

from tests.system.clients import until
from tests.system.mock_openai import Mock, Recorded
from tests.system.server import DEADLINE, Server

VARIABLE = ("id", "created", "timings")  # of each answer anew

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def asking(words: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": words}], **fields}


QUESTIONS: dict[str, dict[str, Any]] = {
    "text": asking("Say hello."),
    "with usage": asking("Say hello.", stream_options={"include_usage": True}),
    "without usage": asking("Say hello.", stream_options={"include_usage": False}),
    # To a whole answer llama.cpp adds the logprob of its end, which the frames of a stream lack: so it has no end.
    "logprobs": asking("Say hello.", logprobs=True, top_logprobs=2, max_tokens=5),
    "stop": asking("Say hello, and hello again.", stop=["!", " help"]),
    "length": asking("Say hello.", max_tokens=5),
    "reasoning": asking("Think: two and two?", max_tokens=8),  # only the mock thinks and calls
    "tools": asking(
        "The weather in Paris and in Rome?",
        tools=[WEATHER],
        tool_choice="auto",
        parallel_tool_calls=True,
        max_tokens=8,
    ),
    "structured": asking(
        "Is snow white? Answer in JSON.",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
    ),
    "halves of letters": asking("Wave to me."),
    "two answers": asking("Say hello.", n=2),
}


class Door(NamedTuple):
    url: str
    key: str
    model: str
    options: dict[str, Any] = {}  # what makes its answers the same each time

    def question(self, name: str) -> dict[str, Any]:
        return {"model": self.model, "temperature": 0, "seed": 1, "max_tokens": 40, **self.options, **QUESTIONS[name]}


@contextmanager
def opened() -> Iterator[dict[str, tuple[Door, Door]]]:
    """Yield for each upstream its own address and Millstream's."""
    with Mock() as mock, Recorded() as recorded:
        tables = {"here": {"kind": "local"}, "mock": mock.table, "recorded": recorded.table}
        with Server(upstreams=tables, workers=2) as server:
            # What a prompt has in common with an earlier one would be reused, and rounds differently.
            model = _local_model(server)._replace(options={"extra_body": {"cache_prompt": False}})
            straight = {
                "llama.cpp": model,
                "mock": Door(mock.url, "sk-mock", "gpt-mock"),
                "recorded": Door(recorded.url, "sk-recorded", ""),
            }
            ours = f"{server.url}/v1"
            yield {name: (door, door._replace(url=ours, key="sk-ours")) for name, door in straight.items()}


def _local_model(server: Server) -> Door:
    """The model server that this server has started; waits until it answers."""
    found: list[psutil.Process] = []

    def look() -> bool:
        descendants = psutil.Process(server.process.pid).children(recursive=True)
        found[:] = [each for each in descendants if "upstreams.local_model" in " ".join(each.cmdline())]
        return bool(found)

    until(look)
    environ = found[0].environ()
    url, key = f"http://127.0.0.1:{environ['MILLSTREAM_LOCAL_PORT']}/v1", environ["MILLSTREAM_LOCAL_KEY"]
    limit = time.monotonic() + DEADLINE
    while time.monotonic() < limit:
        try:
            if requests.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, timeout=DEADLINE).ok:
                return Door(url, key, environ["MILLSTREAM_LOCAL_NAME"])
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the model did not load")


def plain(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove everything that differs between runs, and sort answers to one question: they arrive in any order."""

    def index(chunk: dict[str, Any]) -> int:
        return chunk["choices"][0]["index"] if chunk.get("choices") else 1000

    return [
        {name: value for name, value in chunk.items() if name not in VARIABLE} for chunk in sorted(chunks, key=index)
    ]
