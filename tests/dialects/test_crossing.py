"""What crosses from any door to any kind of upstream: each cell of the table in docs/upstreams.md, tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.chat import question as chat_question
from millstream.dialects.chat import request as chat
from millstream.dialects.completions import request as completions
from millstream.dialects.messages import question as messages_question
from millstream.dialects.messages import request as messages
from millstream.dialects.ollama import question as ollama_question
from millstream.dialects.ollama import request as ollama
from millstream.dialects.responses import question as responses_question
from millstream.dialects.responses import request as responses
from millstream.dialects.spark import request as spark
from millstream.errors import RequestError
from millstream.question import (
    Audio,
    File,
    Image,
    Message,
    Options,
    Part,
    Question,
    Result,
    Shape,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from millstream.upstreams import local

DOCUMENT = Path(__file__).parents[2] / "docs" / "upstreams.md"
ULTRA = spark.MODELS["4.0Ultra"]
KINDS: dict[str, tuple[Abilities, Callable[[Question], Any]]] = {
    "openai, azure": (chat.ABILITIES, chat.write),
    "local": (local.ABILITIES, lambda question: check(question, local.ABILITIES) or chat.write(question)),
    "anthropic": (messages.ABILITIES, lambda question: messages.write(question, 9, {})),
    "responses": (responses.ABILITIES, responses.write),
    "ollama": (ollama.ABILITIES, ollama.write),
    "spark": (spark.abilities(ULTRA), lambda question: json.loads(spark.write(question, ULTRA, "app", ""))),
    "completions": (completions.ABILITIES, lambda question: completions.write(question, 9)),
}
PNG = "data:image/png;base64,iVBORw=="
WEATHER = Tool("weather", "of a city", {"type": "object"})
SHAPE = {"type": "object", "title": "NEEDLE"}


def said(*parts: Part) -> tuple[Message, ...]:
    return (Message("user", (Text("Hi"), *parts)),)


def called(*parts: Text | Image) -> tuple[Message, ...]:
    call = Message("assistant", (ToolCall("c1", "weather", '{"city":"Hefei"}'),))
    return (*said(), call, Message("tool", (Result("c1", parts),)))


# ability → its row, the field that a refusal names, a question with it, and a word of it in the body
ROWS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "tools": (
        "tools, calls and their results",
        "tools",
        {"tools": (WEATHER,), "messages": called(Text("NEEDLE"))},
        "NEEDLE",
    ),
    "forced_tool": (
        "`tool_choice`: required, or one by name",
        "tool_choice",
        {"tools": (WEATHER,), "choice": ToolChoice("tool", "weather")},
        "weather",
    ),
    "shown_result": (
        "a picture in a tool's result",
        "messages",
        {"tools": (WEATHER,), "messages": called(Image(PNG))},
        "iVBORw==",
    ),
    "image": ("pictures", "messages", {"messages": said(Image(PNG))}, "iVBORw=="),
    "image_address": (
        "a picture's address",
        "messages",
        {"messages": said(Image("https://a.example/NEEDLE.png"))},
        "NEEDLE",
    ),
    "file": ("files", "messages", {"messages": said(File("data:application/pdf;base64,JVBERg=="))}, "JVBERg=="),
    "file_address": (
        "a file's address",
        "messages",
        {"messages": said(File("https://a.example/NEEDLE.pdf"))},
        "NEEDLE",
    ),
    "audio": ("audio", "messages", {"messages": said(Audio("UklGRg==", "wav"))}, "UklGRg=="),
    "stop": ("`stop`", "stop", {"options": Options(stop=("NEEDLE",))}, "NEEDLE"),
    "top_p": ("`top_p`", "top_p", {"options": Options(top_p=0.125)}, "0.125"),
    "penalties": ("penalties", "presence_penalty", {"options": Options(presence_penalty=0.125)}, "0.125"),
    "json_object": (
        "`response_format`: json_object",
        "response_format",
        {"options": Options(shape=Shape("json_object"))},
        "json",
    ),
    "json_schema": (
        "`response_format`: json_schema",
        "response_format",
        {"options": Options(shape=Shape("json_schema", SHAPE))},
        "NEEDLE",
    ),
}


def can(abilities: Abilities, ability: str) -> bool:
    """An ability that needs another one is none without it."""
    needs = {
        "image_address": ("image",),
        "file_address": ("file",),
        "shown_result": ("tools", "image"),
        "forced_tool": ("tools",),
    }
    return all(getattr(abilities, name) for name in (ability, *needs.get(ability, ())))


@pytest.mark.parametrize("ability", ROWS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_cell(kind: str, ability: str) -> None:
    abilities, write = KINDS[kind]
    _, field, asks, needle = ROWS[ability]
    question = Question("m", **{"messages": said(), **asks})
    if can(abilities, ability):
        assert needle in json.dumps(write(question))
        return
    with pytest.raises(RequestError) as caught:
        write(question)
    assert (caught.value.code, caught.value.status) == ("bad_field", 400)
    assert caught.value.param in (field, "tools")


def test_every_ability_has_a_row() -> None:
    assert set(ROWS) == set(Abilities.__struct_fields__)


def test_the_table_is_printed() -> None:
    lines = [f"| | {' | '.join(KINDS)} |", f"|---|{'---|' * len(KINDS)}"]
    for ability, (label, *_) in ROWS.items():
        cells = ("yes" if can(abilities, ability) else "–" for abilities, _ in KINDS.values())
        lines.append(f"| {label} | {' | '.join(cells)} |")
    assert "\n".join(lines) in DOCUMENT.read_text("utf-8")


HINTS = Options(seed=5, top_k=3, effort="high", thinking=2000, parallel=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hint_is_never_refused(kind: str) -> None:
    KINDS[kind][1](Question("m", said(), HINTS))


USER = {"role": "user", "content": "Hi"}
DOORS: dict[str, tuple[Callable[[dict[str, Any]], Question], dict[str, Any], dict[str, Any]]] = {
    "chat": (chat_question.read, {"messages": [USER]}, {"reasoning_effort": "low"}),
    "messages": (messages_question.read, {"messages": [USER], "max_tokens": 9}, {"output_config": {"effort": "low"}}),
    "messages, with a budget": (
        messages_question.read,
        {"messages": [USER], "max_tokens": 9},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    "responses": (responses_question.read, {"input": "Hi"}, {"reasoning": {"effort": "low"}}),
    "ollama": (ollama_question.read, {"messages": [USER]}, {"think": "low"}),
}
EFFORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai, azure": lambda body: body["reasoning_effort"],
    "anthropic": lambda body: body["output_config"]["effort"],
    "responses": lambda body: body["reasoning"]["effort"],
    "ollama": lambda body: body["think"],
}


@pytest.mark.parametrize("kind", EFFORTS)
@pytest.mark.parametrize("door", DOORS)
def test_an_effort_crosses(door: str, kind: str) -> None:
    read, body, effort = DOORS[door]
    question = read({"model": "m", **body, **effort})
    if question.dialect == "messages" and kind == "anthropic":
        assert messages.write(question, 9, None) == {**question.body, "stream": True}
        return
    question = replace(question, dialect="")
    written = messages.write(question, 9, None) if kind == "anthropic" else KINDS[kind][1](question)
    assert EFFORTS[kind](written) == "low"
