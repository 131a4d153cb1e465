"""The Responses API: every recorded request is read, answers are numbered and in the order that clients need."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from millstream.dialects import Recalled
from millstream.dialects.blocks import Blocks
from millstream.dialects.chat import request as chat
from millstream.dialects.responses.answer import Writer
from millstream.dialects.responses.memory import expand, kept
from millstream.dialects.responses.question import echo, read
from millstream.dialects.responses.reader import Events
from millstream.dialects.responses.request import write as to_upstream
from millstream.dialects.responses.response import whole
from millstream.errors import RequestError
from millstream.events import Event, Piece
from millstream.question import Image, Result, Shape, Text, Thought, ToolCall, ToolChoice
from millstream.upstreams.decoder import Decoder
from millstream.wire.sse import Decoder as ServerEvents
from tests.dialects.answers import CALLS, FAILED, LENGTH, META, MIXED, REFUSED, TEXT, THOUGHT, done, sse, write
from tests.dialects.recordings import requests
from tests.upstreams.recorded import CALL, WIRE

HI = {"model": "m", "input": "Hi"}
RECORDED = dict(requests("responses"))
TOOL = {"type": "function", "name": "w", "parameters": {"type": "object"}}


def nobody(id):
    return None


@pytest.mark.parametrize("name", [name for name, body in RECORDED.items() if "previous_response_id" not in body])
def test_every_recorded_request_is_read(name):
    question = read(expand(RECORDED[name], nobody))
    assert question.messages[-1].parts
    assert all(tool["name"] for tool in chat.options(question).get("tools", []) for tool in [tool["function"]])


def test_a_rich_request_says_all():
    question = read(RECORDED["py-openai.rich.1"])
    system, user, assistant, tool, model, user2 = question.messages
    assert (system.text, user2.text) == ("Be short", "And now?")
    assert [type(part) for part in user.parts] == [Text, Image]
    assert assistant.parts == (
        Thought("", "ENC", "responses"),
        ToolCall("call_0", "get_weather", '{"city":"Paris"}'),
    )
    assert (tool.parts, model.text) == ((Result("call_0", (Text("22"),)),), "It is 22")
    options = question.options
    assert (options.max_tokens, options.parallel, options.effort) == (99, False, "low")
    assert question.choice == ToolChoice("tool", "get_weather")


def test_codex_tools_of_other_types_are_left_out():
    body = RECORDED["codex.toolrun.2"]
    question = read(body)
    assert {tool["type"] for tool in body["tools"]} > {"function"}
    assert len(question.tools) == sum(tool["type"] == "function" for tool in body["tools"])
    assert [message.role for message in question.messages][:2] == ["developer", "developer"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": 1}, "input"),
        ({"input": None}, "input"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True, "store": False}, "store"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_cannot_be_read_is_named(more, param):
    with pytest.raises(RequestError) as caught:
        read(HI | more)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"prompt": {"id": "p"}}, "prompt"),
    ],
)
def test_what_only_openai_can_read_goes_there_alone(more, param):
    question = read(HI | more)
    assert (question.beyond[0], to_upstream(question)) == (param, {**HI, **more, "stream": True, "store": False})


def test_formats_and_allowed_tools():
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    assert read(HI | {"text": {"format": schema}}).options.shape == Shape(
        "json_schema", {"type": "object"}, "a", True
    )
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "w"}]}
    question = read(HI | {"tools": [TOOL, TOOL | {"name": "x"}], "tool_choice": allowed})
    assert ([tool.name for tool in question.tools], question.choice.mode) == (["w"], "required")


# -- answers ----------------------------------------------------------------------------------------------------


def written(events, **meta):
    return [data for _, data in sse(write(Writer(replace(META, **meta)), events))]


ORDER = {
    "text": ["output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done"],
    "refusal": ["output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done"],
    "reasoning": [
        "output_item.added",
        *(f"reasoning_summary_{name}" for name in ("part.added", "text.delta", "text.done", "part.done")),
    ],
    "call": ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done"],
}


@pytest.mark.parametrize(
    ("events", "blocks", "last"),
    [
        (TEXT, ["text"], "completed"),
        (THOUGHT, ["reasoning", "text"], "completed"),
        (CALLS, ["reasoning", "text", "call", "call"], "completed"),
        (MIXED, ["call", "call"], "completed"),
        (REFUSED, ["refusal"], "completed"),
        (LENGTH, ["text"], "incomplete"),
        ([*TEXT[:-1], done("cancelled")], ["text"], "incomplete"),
        ([done()], [], "completed"),
    ],
)
def test_events_come_in_the_order_that_clients_need(events, blocks, last):
    found = written(events)
    types = [data["type"].removeprefix("response.") for data in found]
    types = [type for type, before in zip(types, [None, *types], strict=False) if type != before]
    items = [type for block in blocks for type in [*ORDER[block], "output_item.done"]]
    assert types == ["created", "in_progress", *items, last]
    assert [data["sequence_number"] for data in found] == [*range(len(found))]
    output = found[-1]["response"]["output"]
    assert [data["item"] for data in found if data["type"] == "response.output_item.done"] == output


def test_the_events_name_themselves_and_their_items():
    for type, data in sse(write(Writer(META), CALLS)):
        assert type == data["type"]
        if "item_id" in data:
            assert data["item_id"].endswith(f"_{META.id}_{data['output_index']}")


@pytest.mark.parametrize("skip", range(-1, 30))
def test_a_resume_gives_exactly_the_rest(skip):
    all_, rest = (write(Writer(META, have), CALLS) for have in (-1, skip))
    events = sse(all_)
    assert sse(rest) == events[skip + 1 :]
    assert all_.endswith(rest)


def test_a_keepalive_repeats_the_last_number():
    writer = Writer(META)
    last = sse(writer.opening())[-1][1]["sequence_number"]
    assert sse(writer.HEARTBEAT) == [("keepalive", {"type": "keepalive", "sequence_number": last})]


@pytest.mark.parametrize(
    ("events", "status", "why"),
    [
        (TEXT, "completed", None),
        (LENGTH, "incomplete", "max_output_tokens"),
        ([done("content_filter")], "incomplete", "content_filter"),
        ([done("cancelled")], "cancelled", None),
        (FAILED, "failed", None),
    ],
)
def test_the_object_is_the_same_streamed_and_read(events, status, why):
    blocks = Blocks(META.id)
    blocks.add(events)
    read_ = whole(META, blocks.whole(), events[-1])
    assert written(events)[-1]["response"] == read_
    assert (read_["status"], (read_["incomplete_details"] or {}).get("reason")) == (status, why)


def test_a_failure_is_an_error_and_then_response_failed():
    error, failed = written(FAILED)[-2:]
    assert [data["sequence_number"] for data in written(FAILED)] == [*range(len(written(FAILED)))]
    assert error["error"]["message"] == error["message"] == "It broke."
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "It broke."}


@pytest.mark.parametrize("native", [True, False])
def test_a_custom_tool_is_answered_with_free_text(native):
    text = "*** Begin" if native else '{"input":"*** Begin"}'
    events = [
        Event("call", text[:5], call=Piece(0, "c", "patch", native)),
        Event("call", text[5:], call=Piece(0, custom=native)),
    ]
    custom = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
    question = read(HI | {"tools": [custom]})
    found = written([*events, done("tool_calls")], echo=echo(question))
    pieces = [data["delta"] for data in found if data["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(pieces) == "*** Begin"
    assert found[-1]["response"]["output"][0]["input"] == "*** Begin"
    schema = chat.options(question)["tools"][0]["function"]["parameters"]
    assert schema["required"] == ["input"]


# -- what is remembered ---------------------------------------------------------------------------------------


def former(events, **meta):
    blocks = Blocks(META.id)
    blocks.add(events)
    return Recalled(replace(META, **meta), blocks.whole(), events[-1])


def test_a_former_answer_goes_on():
    first = HI | {"store": True}
    found = former(CALLS, kept=kept(read(first)))
    after = {"input": [{"type": "function_call_output", "call_id": "call_a", "output": "22"}]}
    question = read(expand(after | {"previous_response_id": f"resp_{META.id}"}, {META.id: found}.get))
    user, assistant, tool = question.messages
    assert (user.text, tool.role) == ("Hi", "tool")
    assert [type(part) for part in assistant.parts] == [Thought, Text, ToolCall, ToolCall]


@pytest.mark.parametrize("found", [None, former(TEXT), former(TEXT[:-1], kept=[])])
def test_what_is_not_kept_cannot_go_on(found):
    if found and found.meta.kept is not None:
        found = replace(found, event=None)
    with pytest.raises(RequestError) as caught:
        expand(HI | {"previous_response_id": f"resp_{META.id}"}, lambda id: found)
    assert (caught.value.code, caught.value.status) == ("previous_response_not_found", 400)


def test_a_reference_gives_the_thought_with_its_signature():
    body = {"input": [{"type": "item_reference", "id": f"rs_{META.id}_0"}, {"role": "user", "content": "and?"}]}
    question = read(expand(body, {META.id: former(THOUGHT)}.get))
    assert question.messages[0].parts == (Thought("Let", "SIG==", "messages"),)
    assert [message.text for message in read(expand(body, nobody)).messages] == ["and?"]
    with pytest.raises(RequestError):
        expand({"input": [{"type": "item_reference", "id": "msg_0"}]}, nobody)


def test_a_question_is_kept_and_repeated_only_where_its_client_says_so():
    body = HI | {"instructions": "secret", "metadata": {"a": "b"}}
    for more, keeps in (
        ({}, False),
        ({"store": True}, True),
        ({"background": True}, True),
        ({"store": False}, False),
    ):
        question = read(body | more)
        assert (kept(question) is not None) == keeps
        assert ("instructions" in echo(question)) == keeps
        assert echo(question)["metadata"] == {"a": "b"}


SIGNED = (
    {"encrypted_content": "gAAA"},
    {"encrypted_content": "millstream:messages:x"},
    {"encrypted_content": None},
    {},
)


def test_the_upstream_gets_no_thoughts_of_others():
    thoughts = [{"type": "reasoning", "id": f"rs_{n}", "summary": [], **more} for n, more in enumerate(SIGNED)]
    hi = {"role": "user", "content": "Hi"}
    assert to_upstream(read({"model": "m", "input": [*thoughts, hi]}))["input"] == [thoughts[0], hi]


# -- over an upstream of the same dialect -----------------------------------------------------------------------


def came(name, count=None):
    """The events of a recorded answer, which bring the upstream's own."""
    decoder = Decoder(Events(), CALL, "up", passing=True)
    frames = [one.data for one in ServerEvents().feed((WIRE / "responses" / f"{name}.sse").read_bytes())]
    events = [event for frame in frames[:count] for event in decoder.feed(frame)]
    return [*events, *(decoder.close() if count is None else [])]


def test_a_former_answer_goes_back_with_the_ids_of_its_upstream():
    events, meta = came("reasoning"), replace(META, kept=[{"role": "user", "content": "Hi"}])
    output = whole(meta, Blocks(meta.id).whole(events), events[-1])["output"]
    assert all(meta.id in item["id"] for item in output)
    recall = {meta.id: Recalled(meta, Blocks(meta.id).whole(events), events[-1])}.get
    sent = to_upstream(read(expand(HI | {"previous_response_id": f"resp_{meta.id}"}, recall)))["input"]
    assert [item.get("id") for item in sent[1:-1]] == ["rs_0", "msg_1"]
    reference = {"type": "item_reference", "id": output[1]["id"]}
    assert expand(HI | {"input": [reference]}, recall)["input"] == [output[1]]
    ours = {"id": f"msg_{meta.id}_1", "role": "assistant", "content": "x"}
    assert to_upstream(read(HI | {"input": [ours]}))["input"] == [{"role": "assistant", "content": "x"}]


@pytest.mark.parametrize("end", [done("cancelled"), FAILED[-1]])
def test_what_is_stopped_while_it_passes_has_what_came_of_it(end):
    events = [*came("reasoning", 12), end]
    written_ = written(events)
    assert [data["sequence_number"] for data in written_] == [*range(len(written_))]
    last = written_[-1]["response"]
    assert last == whole(META, Blocks(META.id).whole(events), end)
    assert [item["id"] for item in last["output"]] == [f"rs_{META.id}_0_0", f"msg_{META.id}_1_1"]
    assert (last["output"][1]["content"][0]["text"], last["output"][1]["status"]) == ("Hello", "incomplete")
