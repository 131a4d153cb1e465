"""Questions in the words of chat completions, and answers out of their chunks."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from millstream.dialects.blocks import Blocks
from millstream.dialects.chat import chunks
from millstream.dialects.chat.reader import Chunks
from millstream.dialects.chat.request import messages, options
from millstream.dialects.messages.question import read as read_messages
from millstream.dialects.reading import Broken
from millstream.dialects.table import DOORS
from millstream.events import Event, Usage
from millstream.question import File, Image, Message, Options, Question, Result, Shape, Text, Thought, Tool, ToolCall
from millstream.wire.sse import Decoder
from tests.dialects.recordings import requests

WIRE = Path(__file__).parents[1] / "wire" / "openai"
PNG = "data:image/png;base64,iVBORw=="


def asked(*said, **more):
    return Question("m", said, **more)


def test_what_the_system_says_at_first_is_one_message():
    said = [Message(role, (Text(role),)) for role in ("system", "developer", "user", "system")]
    assert [(one["role"], one["content"]) for one in messages(asked(*said))] == [
        ("system", "system\n\ndeveloper"),
        ("user", "user"),
        ("system", "system"),
    ]


def test_calls_results_and_what_they_show():
    calls = (Thought("x", "SIG"), Text("I look"), ToolCall("a", "w", ""), ToolCall("b", "p", "*** x", custom=True))
    results = (Result("a", (Text("22"), Image(PNG))), Result("b", (Text("no"),), error=True))
    assert messages(asked(Message("assistant", calls), Message("tool", results))) == [
        {
            "role": "assistant",
            "content": "I look",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "p", "arguments": '{"input":"*** x"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "22"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
    ]


@pytest.mark.parametrize(
    ("arguments", "custom", "read"),
    [("", False, {}), ("{}", False, {}), ('{"a":1}', False, {"a": 1}), ("no", False, {"input": "no"})]
    + [(text, True, {"input": text}) for text in ("", '{"a":1}')],
)
def test_arguments_are_an_object_for_those_who_need_one(arguments, custom, read):
    assert ToolCall("i", "f", arguments, custom).read() == read


def test_parts_of_the_user():
    said = Message("user", (Text("What?"), Image(PNG, "high"), File(PNG, "a.pdf")))
    assert messages(asked(said))[0]["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}},
    ]


def test_only_what_is_said_is_asked_for():
    assert options(asked()) == {}
    tools = (Tool("w", "d", {"type": "object"}, True),)
    use = Options(stop=("END",), shape=Shape("json_schema", {}, "a", True), thinking=4096, parallel=False)
    said = options(asked(tools=tools, options=use))
    assert said["tools"][0]["function"] == {
        "name": "w",
        "description": "d",
        "parameters": {"type": "object"},
        "strict": True,
    }
    assert said["response_format"]["json_schema"] == {"name": "a", "schema": {}, "strict": True}
    assert {name: said[name] for name in ("stop", "reasoning_effort", "parallel_tool_calls", "tool_choice")} == {
        "stop": ["END"],
        "reasoning_effort": "medium",
        "parallel_tool_calls": False,
        "tool_choice": "auto",
    }


@pytest.mark.parametrize("door", [door.name for door in DOORS if door.name not in ("generate", "completions")])
def test_every_recorded_question_can_be_asked(door):
    read = next(one.read for one in DOORS if one.name == door)
    written = 0
    for name, body in requests(door):
        if name not in ("py-ollama.rich.1", "aisdk-ollama.rich.1"):
            roles = [message["role"] for message in messages(read(body))]
            assert set(roles) <= {"system", "user", "assistant", "tool"}
            written += bool(options(read(body)) or roles)
    assert written > 8


def test_results_stand_behind_the_calls_that_they_answer():
    body = dict(requests("messages"))["py-anthropic.rich.1"]
    roles = [message["role"] for message in messages(read_messages(body | {"messages": body["messages"]}))]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user", "user"]


# -- answers ----------------------------------------------------------------------------------------------------


def blocks(name):
    reader, found = Chunks(), Blocks("A" * 22)
    for event in Decoder().feed((WIRE / f"{name}.sse").read_bytes()):
        if event.data.startswith(b"{"):
            found.add(reader.feed(event.data))
    return found.whole().blocks, reader


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("tool_calls", ["call"]),
        ("reasoning_content", ["reasoning", "text"]),
        ("refusal", ["refusal"]),
        ("openai", ["text"]),
    ],
)
def test_recorded_chunks_become_blocks(name, kinds):
    assert [block.kind for block in blocks(name)[0]] == kinds


def test_the_usage_has_its_details():
    reader = Chunks()
    details = b'"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}'
    reader.feed(b'{"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":7,%b}}' % details)
    assert reader.usage == Usage(14, 7, cached=4, reasoning=3)


VALUES = (None, "", "a", "\u2028é", 0, 1, 0.0, False, [], ["x"], {}, {"prompt_tokens": 1})


def with_each_value(field):
    """A chunk of text in which the field of that name has each of VALUES, wherever such a field may stand."""
    for place, value in product(range(3), VALUES):
        delta = {"content": "a"}
        choice = {"delta": delta}
        chunk = {"choices": [choice], "model": "m"}
        (chunk, choice, delta)[place][field] = value
        yield json.dumps(chunk).encode()


FIELDS = {"choices", "delta", "content", "index", "model"}.union(*chunks.BESIDE.values())


def read_slowly(payload):
    """Text and model where a reader finds a piece of text in it, and nothing else."""
    reader = Chunks()
    try:
        events = reader.feed(payload)
    except (Broken, ValueError):
        return None
    only = [event for event in events if event == Event("message", event.text)]
    said = len(only) == len(events) == 1 and not (reader.usage or reader.finished)
    return (events[0].text, reader.model or None) if said else None


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_the_fast_way_takes_a_chunk_that_is_only_text_and_no_other(field):
    for payload in with_each_value(field):
        found = chunks.read_text(payload)
        assert found is None or (found[0], found[1] or None) == read_slowly(payload), payload
    assert chunks.read_text(b'{"choices":[{"delta":{"content":"a"}}],"model":"m","x":[{}]}') == ("a", "m")


@pytest.mark.parametrize("odd", [b'{"choices":[]}', b'{"choices":[{"delta":{"content":"a"}},{}]}', b"{} x", b"[]"])
def test_the_fast_way_takes_one_choice(odd):
    assert chunks.read_text(odd) is None


def test_after_a_chunk_of_another_kind_the_text_goes_on():
    said = [{"content": "a"}, {"content": "b"}, {"reasoning": "c"}, {"content": "d"}, {"content": "e"}]
    reader = Chunks()
    events = [reader.feed(json.dumps({"choices": [{"delta": delta}]}).encode()) for delta in said]
    assert [(event.type, event.text) for batch in events for event in batch] == [
        ("message", "a"),
        ("message", "b"),
        ("reasoning", "c"),
        ("message", "d"),
        ("message", "e"),
    ]
