"""The Messages API: every recorded request is read, answers are written in the order that clients need."""

from __future__ import annotations

import pytest

from millstream.dialects.blocks import Blocks
from millstream.dialects.messages.answer import Writer, whole
from millstream.dialects.messages.question import read, read_count
from millstream.dialects.messages.request import write as to_anthropic
from millstream.errors import RequestError
from millstream.question import Image, Message, Result, Text, Thought, ToolCall, ToolChoice
from tests.dialects.answers import CALLS, FAILED, LENGTH, META, MIXED, REFUSED, TEXT, THOUGHT, done, sse, write
from tests.dialects.recordings import requests

HI = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("name", dict(requests("messages")))
def test_every_recorded_request_is_read(name):
    body = dict(requests("messages"))[name]
    question = read(body)
    assert question.messages[-1].parts
    assert question.body is body
    assert len(question.tools) == len(body.get("tools", []))
    said = "".join(message.text for message in question.messages)
    assert "x-anthropic-billing-header" not in said


def test_a_rich_request_says_all():
    question = read(dict(requests("messages"))["py-anthropic.rich.1"])
    system, user, assistant, results, last = question.messages
    assert (system.role, system.text) == ("system", "Be short")
    assert [type(part) for part in user.parts] == [Text, Image, Image]
    assert assistant.parts[:2] == (
        Thought("Let me think", "SIG==", "messages"),
        Thought("", "ENC", "messages", redacted=True),
    )
    assert assistant.parts[3] == ToolCall("toolu_1", "get_weather", '{"city":"Paris"}')
    assert results.role == "tool"
    assert results.parts[1] == Result("toolu_2", (Text("no such city"), results.parts[1].parts[1]), error=True)
    assert last == Message("user", (Text("and?"),))
    options = question.options
    assert (options.thinking, options.parallel, options.stop, options.top_k) == (1024, False, ("END",), 5)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
    ],
)
def test_what_cannot_be_read_is_named(more, param):
    with pytest.raises(RequestError) as caught:
        read(HI | more)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "messages[0].content[0].type"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"tools": [{"type": "web_search_1", "name": "web"}], "tool_choice": {"type": "any"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ],
)
def test_what_only_anthropic_can_read_goes_there_alone(more, param):
    question = read(HI | more)
    assert (question.beyond[0], to_anthropic(question, 9, None)) == (param, {**HI, **more, "stream": True})


def test_counting_needs_no_max_tokens_and_choices_are_translated():
    assert read_count(dict(requests("count"))["py-anthropic.count.1"]).options.max_tokens is None
    tools = [{"name": "w", "input_schema": {"type": "object"}}]
    asked = read(HI | {"tools": tools, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}})
    assert (asked.choice, asked.options.parallel) == (ToolChoice("required"), False)


# -- answers ----------------------------------------------------------------------------------------------------


def kinds(events):
    """The types of the events, each run of deltas once."""
    found = [data["type"] for _, data in sse(write(Writer(META), events))]
    return [kind for kind, before in zip(found, [None, *found], strict=False) if kind != before]


BLOCK = ["content_block_start", "content_block_delta", "content_block_stop"]


@pytest.mark.parametrize(
    ("events", "blocks"),
    [
        (TEXT, ["text"]),
        (THOUGHT, ["thinking", "text"]),
        (CALLS, ["thinking", "text", "tool_use", "tool_use"]),
        (MIXED, ["tool_use", "tool_use"]),
        (REFUSED, ["text"]),
        ([done()], []),
    ],
)
def test_each_block_is_opened_continued_and_closed_before_the_next(events, blocks):
    assert kinds(events) == ["message_start", *BLOCK * len(blocks), "message_delta", "message_stop"]
    written = sse(write(Writer(META), events))
    assert all(type == data["type"] for type, data in written)
    begun = [data["content_block"]["type"] for type, data in written if type == "content_block_start"]
    assert begun == blocks
    assert [data["index"] for type, data in written if type == "content_block_stop"] == [*range(len(blocks))]


def test_interleaved_calls_come_one_after_the_other_and_whole():
    parts = {}
    for type, data in sse(write(Writer(META), MIXED)):
        if type == "content_block_delta":
            parts[data["index"]] = parts.get(data["index"], "") + data["delta"]["partial_json"]
    assert parts == {0: '{"city":"Paris"}', 1: '{"city":"Rome"}'}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (TEXT, "end_turn"),
        (LENGTH, "max_tokens"),
        (CALLS, "tool_use"),
        ([done("content_filter")], "refusal"),
        ([*MIXED[:-1], done("stop")], "tool_use"),
        ([done("stop", stop_sequence="END")], "stop_sequence"),
    ],
)
def test_streamed_and_whole_end_alike(events, reason):
    delta = sse(write(Writer(META), events))[-2][1]
    blocks = Blocks(META.id)
    blocks.add(events)
    message = whole(META, blocks.whole(), events[-1])
    assert delta["delta"]["stop_reason"] == message["stop_reason"] == reason
    assert delta["usage"] == message["usage"]
    assert message["usage"]["input_tokens"] == 10  # without the 4 from the cache
    assert message["usage"]["cache_read_input_tokens"] == 4


def test_a_whole_message_has_the_signature_and_the_inputs():
    blocks = Blocks(META.id)
    blocks.add([*THOUGHT[:-1], *CALLS[2:]])
    assert whole(META, blocks.whole(), CALLS[-1])["content"] == [
        {"type": "thinking", "thinking": "Let", "signature": "SIG=="},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "call_b", "name": "weather", "input": {"city": "Rome"}},
    ]


def test_a_failure_is_an_error_event_and_the_last():
    type, data = sse(write(Writer(META), FAILED))[-1]
    assert (type, data["error"]) == ("error", {"type": "api_error", "message": "It broke."})


OURS = {"type": "thinking", "thinking": "a", "signature": "SIG=="}
CALLED = {"type": "tool_use", "id": "c", "name": "weather", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "22"}]}
FOREIGN = [
    {"type": "thinking", "thinking": "b", "signature": ""},
    {"type": "thinking", "thinking": "b", "signature": "millstream:responses:x"},
    {"type": "redacted_thinking", "data": "millstream:responses:x"},
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_anthropic_gets_no_thoughts_of_others_and_its_own_as_they_are(foreign):
    def asked(*blocks, last=RESULT):
        turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": list(blocks)}, last]
        thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "context_management": {}}
        return {"model": "m", "max_tokens": 9, "messages": turns, "stream": True, **thinking}

    def sent(body):
        return to_anthropic(read(body), 9, None)

    assert sent(asked(OURS, CALLED)) == asked(OURS, CALLED)
    both = sent(asked(foreign, OURS, CALLED))
    assert both == asked(OURS, CALLED)
    open_loop = asked(CALLED)
    del open_loop["thinking"], open_loop["context_management"]
    assert sent(asked(foreign, CALLED)) == open_loop
    alone = sent(asked(foreign, last={"role": "user", "content": "And?"}))
    assert [turn["role"] for turn in alone["messages"]] == ["user", "user"] and "thinking" in alone
