"""Ollama's API: recorded requests are read, each line is whole, and no line is empty."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from millstream.dialects.abilities import check_beyond
from millstream.dialects.blocks import Blocks
from millstream.dialects.dates import rfc3339
from millstream.dialects.models import Model
from millstream.dialects.ollama.answer import Writer, settled, whole
from millstream.dialects.ollama.models import shown
from millstream.dialects.ollama.question import read, read_generate
from millstream.errors import RequestError
from millstream.formats import Abort
from millstream.question import Image, Result, Shape, Text, Thought, ToolCall
from tests.dialects.answers import CALLS, FAILED, LENGTH, META, MIXED, REFUSED, TEXT, THOUGHT, write
from tests.dialects.recordings import requests

RECORDED = dict(requests("ollama"))
# logprobs, which no upstream of ours gives; a picture as {"0": 137, …}, a fault of ollama-ai-provider's.
REFUSED_REQUESTS = {"py-ollama.rich.1": "logprobs", "aisdk-ollama.rich.1": "messages[1].images[0]"}
HI = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
OLLAMA, GENERATE = replace(META, api="ollama"), replace(META, api="generate")


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_are_read_or_name_what_is_wrong(name):
    body = RECORDED[name]
    if name in REFUSED_REQUESTS:
        with pytest.raises(RequestError) as caught:
            check_beyond(read(body))
        assert caught.value.param == REFUSED_REQUESTS[name]
        return
    question = read(body)
    assert question.messages[0].parts
    assert question.stream == body.get("stream", True)


def test_a_rich_request_says_all():
    question = read({**RECORDED["py-ollama.rich.1"], "logprobs": None, "top_logprobs": None})
    system, user, assistant, tool = question.messages
    assert (system.text, [type(part) for part in user.parts]) == ("s", [Text, Image])
    assert user.parts[1].url == "data:image/png;base64,iVBORw=="
    assert assistant.parts == (Thought("Let me"), ToolCall("call_2_0", "wt", '{"city":"Paris"}'))
    assert tool.parts == (Result("call_2_0", (Text("22"),), name="wt"),)
    options = question.options
    assert (options.max_tokens, options.top_k, options.stop, options.effort) == (64, 4, ("END",), "low")
    assert options.shape == Shape("json_schema", {"type": "object"})
    assert read(HI | {"options": {"seed": -1, "num_ctx": 9}}).options.seed == -1


def results(*said):
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("a", "b", "a")]
    turns = [HI["messages"][0], {"role": "assistant", "tool_calls": calls}]
    question = read(HI | {"messages": [*turns, *({"role": "tool", "content": "x", **one} for one in said)]})
    return [part.call for part in question.messages[-1].parts]


def test_results_are_matched_by_id_by_name_or_in_order():
    assert results({"tool_call_id": "call_1_2"}, {"tool_name": "b"}, {}) == ["call_1_2", "call_1_1", "call_1_0"]
    assert results({}, {}, {}) == ["call_1_0", "call_1_1", "call_1_2"]
    with pytest.raises(RequestError) as caught:
        results({"tool_name": "c"})
    assert caught.value.param == "messages[2].tool_name"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "images": ["aGk="]}]}, "messages[0].images[0]"),
        ({"options": {"num_predict": "9"}}, "options.num_predict"),
        ({"stream": 1}, "stream"),
        ({"tools": [{}]}, "tools[0].function"),
        ({"format": 5}, "format"),
    ],
)
def test_what_cannot_be_read_is_named(more, param):
    with pytest.raises(RequestError) as caught:
        read(HI | more)
    assert caught.value.param == param


def test_generate_is_read_and_what_asks_nothing_is_settled():
    for _, body in requests("generate"):
        if body.get("prompt") and "suffix" not in body:
            assert read_generate(body | {"system": "s"}).messages[-1].text == body["prompt"]
    assert read_generate({"model": "m", "prompt": "x", "suffix": "y"}).beyond == ("suffix",)
    assert settled("ollama", HI, 0) is None
    assert settled("ollama", {"model": "m"}, 0)["done_reason"] == "load"
    assert settled("generate", {"model": "m", "keep_alive": 0}, 0)["done_reason"] == "unload"


# -- answers ----------------------------------------------------------------------------------------------------


def lines(meta, events):
    return [json.loads(line) for line in write(Writer(meta), events).removesuffix(b"\n").split(b"\n")]


@pytest.mark.parametrize("meta", [OLLAMA, GENERATE])
@pytest.mark.parametrize("events", [TEXT, THOUGHT, CALLS, MIXED, LENGTH, REFUSED])
def test_each_line_is_whole_and_the_last_says_all(meta, events):
    *pieces, last = lines(meta, events)
    chat = meta is OLLAMA
    for line in (*pieces, last):
        assert line["model"] == "m1" and line["created_at"] == "2025-11-27T20:00:00Z"
        assert ("message" in line) == chat
    assert [line["done"] for line in pieces] == [False] * len(pieces)
    assert (last["prompt_eval_count"], last["eval_count"]) == (14, 7)
    assert last["done_reason"] == ("length" if events is LENGTH else "stop")
    blocks = Blocks(meta.id)
    blocks.add(events)
    said = whole(meta, blocks.whole(), events[-1])
    if chat:
        assert said["message"]["content"] == "".join(line["message"]["content"] for line in pieces)
        calls = [call for line in pieces for call in line["message"].get("tool_calls", [])]
        assert said["message"].get("tool_calls", []) == calls
    else:
        assert said["response"] == "".join(line["response"] for line in pieces)


def test_calls_come_whole_and_numbered():
    called = [line["message"]["tool_calls"][0] for line in lines(OLLAMA, MIXED) if "tool_calls" in line["message"]]
    assert called == [
        {"id": "call_a", "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}}},
        {"id": "call_b", "function": {"index": 1, "name": "weather", "arguments": {"city": "Rome"}}},
    ]


def test_a_failure_is_told_and_then_the_connection_breaks():
    closing = Writer(OLLAMA).closing(FAILED[-1])
    assert isinstance(closing, Abort)
    assert json.loads(closing.says) == {"error": "It broke."}


def test_a_heartbeat_is_a_line_with_nothing_in_it():
    beat = json.loads(Writer(OLLAMA).HEARTBEAT)
    assert (beat["message"]["content"], beat["done"]) == ("", False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (951_868_799, "2000-02-29T23:59:59Z"), (4_102_444_800.9, "2100-01-01T00:00:00Z")],
)
def test_a_date_is_the_one_of_the_calendar(seconds, text):
    assert rfc3339(seconds) == text


@pytest.mark.parametrize(
    ("model", "can"),
    [
        (None, ["completion", "tools", "vision", "thinking"]),
        (Model("m", tools=True, vision=False), ["completion", "tools", "thinking"]),
        (Model("m", tools=False), ["completion", "vision", "thinking"]),
    ],
)
def test_a_model_is_shown_with_what_its_list_says(model, can):
    assert shown(model)["capabilities"] == can
