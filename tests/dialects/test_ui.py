"""useChat's protocol: recorded requests are read; chunks are only those that the client knows, in its order."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from millstream.dialects.ui.answer import Writer
from millstream.dialects.ui.question import echo, read
from millstream.errors import RequestError
from millstream.events import Event
from millstream.question import File, Image, Message, Result, Text, Thought, ToolCall
from tests.dialects.answers import CALLS, FAILED, LENGTH, META, MIXED, REFUSED, TEXT, THOUGHT, call, done, sse, write
from tests.dialects.recordings import requests

RECORDED = dict(requests("ui"))


def asked(*parts, role="assistant"):
    turns = [
        {"role": "user", "parts": [{"type": "text", "text": "Hi"}]},
        {"role": role, "id": "a1", "parts": [*parts]},
    ]
    return {"id": "c", "messages": turns}


def messages(*parts, **more):
    return read(asked(*parts, **more)).messages[1:]


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_request_is_read(name):
    question = read(RECORDED[name])
    assert question.messages[0].text == "Hi" and question.stream


def test_a_tool_of_the_browser_goes_on_in_the_same_message():
    body = RECORDED["aisdk-ui.toolrun.2"]
    question = read(body)
    assert question.messages[1:] == (
        Message("assistant", (ToolCall("c1", "get_weather", '{"city":"Paris"}'),)),
        Message("tool", (Result("c1", (Text('{"temp":22}'),)),)),
    )
    assert echo(question) == {"message": "a1"}
    assert echo(read(RECORDED["aisdk-ui.text.1"])) == {}


def test_parts_become_messages():
    tool = {"type": "tool-w", "toolCallId": "c1", "input": {"a": 1}}
    dynamic = {
        "type": "dynamic-tool",
        "toolName": "x",
        "toolCallId": "c2",
        "state": "output-error",
        "errorText": "no",
    }
    ours = {"millstream": {"signature": "millstream:messages:SIG"}}
    found = messages(
        {"type": "step-start"},
        {"type": "reasoning", "text": "Let", "providerMetadata": ours},
        {"type": "reasoning", "text": "unsigned"},
        {"type": "text", "text": "I look"},
        tool | {"state": "input-available"},
        dynamic,
        {"type": "source-url", "url": "x"},
        {"type": "data-own", "data": 1},
        {"type": "step-start"},
        {"type": "text", "text": "No"},
    )
    assert found == (
        Message("assistant", (Thought("Let", "SIG", "messages"), Text("I look"), ToolCall("c2", "x", "{}"))),
        Message("tool", (Result("c2", (Text("no"),), error=True),)),
        Message("assistant", (Text("No"),)),
    )
    url = "data:image/png;base64,iVBORw=="
    files = messages(
        {"type": "file", "mediaType": "image/png", "url": url},
        {"type": "file", "mediaType": "application/pdf", "url": url, "filename": "a.pdf"},
        role="user",
    )
    assert files == (Message("user", (Image(url), File(url, "a.pdf"))),)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"id": "c"}, "messages"),
        ({"id": 5, "messages": []}, "id"),
        ({"id": "c" * 201, "messages": []}, "id"),
        ({"message": {"role": "user"}}, "messages"),
        ({"messages": [{"role": "tool", "parts": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "parts": [{"type": "odd"}]}]}, "messages[0].parts[0].type"),
        ({"messages": [{"role": "user", "parts": []}]}, "messages"),
        (asked() | {"tools": [{}]}, "tools[0].name"),
    ],
)
def test_what_cannot_be_read_is_named(body, param):
    with pytest.raises(RequestError) as caught:
        read(body)
    assert caught.value.param == param


# -- answers ----------------------------------------------------------------------------------------------------


def chunks(events, **meta):
    return [data for _, data in sse(write(Writer(replace(META, **meta)), events))]


CALL = ["tool-input-start", "tool-input-delta", "tool-input-available"]


def run(name):
    return [f"{name}-start", f"{name}-delta", f"{name}-end"]


@pytest.mark.parametrize(
    ("events", "parts", "reason"),
    [
        (TEXT, run("text"), "stop"),
        (THOUGHT, [*run("reasoning"), *run("text")], "stop"),
        (CALLS, [*run("reasoning"), *run("text"), *CALL, *CALL], "tool-calls"),
        (MIXED, [*CALL, *CALL], "tool-calls"),
        (LENGTH, run("text"), "length"),
        (REFUSED, run("text"), "stop"),
        ([done("content_filter")], [], "content-filter"),
        ([done("odd")], [], "other"),
    ],
)
def test_parts_are_opened_continued_and_closed(events, parts, reason):
    *found, finish, last = chunks(events)
    types = [chunk["type"] for chunk in found]
    types = [type for type, before in zip(types, [None, *types], strict=False) if type != before]
    assert types == ["start", "start-step", *parts, "finish-step"]
    assert (finish["type"], finish["finishReason"], last) == ("finish", reason, "[DONE]")
    assert finish["messageMetadata"]["usage"]["prompt_tokens"] == 14


def test_the_message_is_the_one_that_the_client_has():
    assert chunks(TEXT)[0]["messageId"] == f"msg_{META.id}"
    assert chunks(TEXT, echo={"message": "a1"})[0]["messageId"] == "a1"


def test_a_signature_returns_with_its_part():
    end = next(chunk for chunk in chunks(THOUGHT) if chunk["type"] == "reasoning-end")
    part = {"type": "reasoning", "text": "Let", "providerMetadata": end["providerMetadata"]}
    assert messages(part)[0].parts == (Thought("Let", "SIG==", "messages"),)
    redacted = [Event("reasoning", signature="DATA", origin="messages", redacted=True), done()]
    end = next(chunk for chunk in chunks(redacted) if chunk["type"] == "reasoning-end")
    part = {"type": "reasoning", "text": "", "providerMetadata": end["providerMetadata"]}
    assert messages(part)[0].parts == (Thought("", "DATA", "messages", redacted=True),)


@pytest.mark.parametrize(
    ("events", "types"),
    [
        (FAILED, ["error", "[DONE]"]),
        ([done("cancelled")], ["abort", "[DONE]"]),
        ([call(0, '{"a":', "c", "w"), done("length")], ["tool-input-error", "finish-step", "finish", "[DONE]"]),
    ],
)
def test_other_ends(events, types):
    found = [chunk if chunk == "[DONE]" else chunk["type"] for chunk in chunks(events)]
    assert found[-len(types) :] == types
