"""OpenAI's event stream, byte for byte."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from millstream.dialects.chat.writer import Chunks, Writer
from millstream.events import End, Event, Failure, Meta, Piece, Usage
from millstream.wire import sse

META = Meta("abc", "me", "w", 17.5, "m", api="openai")
USAGE = b'{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'


def encode(*frames: bytes, usage: bool = False) -> bytes:
    meta = replace(META, echo={"usage": True}) if usage else META
    return Writer(meta).encode([Event(frames=(frame,)) for frame in frames])


@pytest.mark.parametrize(
    "frame",
    [
        b'{"choices":[{"delta":{"content":"a"}}], "x" : 1.0}',
        b'{"choices":[{"delta":{"content":"a"}}],"usage":null}',
        b'{"choices":[],"usage":null}',
        b'{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
        b'{"choices":[{"delta":{"content":"\\"usage\\""}}]}',
        b'{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}',
        b'{"choices":{},"usage":1}',
        b'{"choices":[{"delta":{"content":"\xff"}}],"usage":{}}',
        b'{"choices":[{"delta":{"content":"say \\"chat.completion\\""}}]}',
        b'{"object":"chat.completion.chunk","x":"chat.completion"}',
    ],
)
def test_a_frame_goes_out_as_it_came(frame):
    assert encode(frame) == b"data: " + frame + b"\n\n"


def test_the_frame_for_the_usage_is_for_those_who_asked():
    assert encode(USAGE, usage=True) == b"data: " + USAGE + b"\n\n"
    assert encode(b"{}", USAGE) == b"data: {}\n\n"


def test_no_line_reader_splits_a_frame():
    frame = json.dumps({"choices": [], "text": "a\u2028b\u2029c\u0085d"}, ensure_ascii=False).encode()
    text = encode(frame).decode()
    assert len(text.splitlines()) == 2 and json.loads(text[6:]) == json.loads(frame)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_frame_on_several_lines_goes_out_on_one(end):
    frame = json.dumps({"choices": [], "text": "a\nb"}, indent=1).replace("\n", end).encode()
    [event] = sse.Decoder().feed(encode(frame))
    assert json.loads(event.data) == {"choices": [], "text": "a\nb"}
    assert encode(frame).count(b"\n") == 2


def test_it_ends_with_done():
    assert Writer(META).closing(Event("done", end=End("m", "u", "cancelled"))).endswith(b"data: [DONE]\n\n")


def test_a_failure_is_the_last_word():
    failure = Failure("Gone.", "upstream_error", "upstream_broke")
    closing = Writer(META).closing(Event("failed", end=End("m", "u", failure=failure)))
    assert isinstance(closing, bytes)
    assert b"DONE" not in closing
    [event] = sse.Decoder().feed(closing)
    assert json.loads(event.data)["error"]["code"] == "upstream_broke"


def test_a_heartbeat_is_no_event():
    assert sse.Decoder().feed(Writer.HEARTBEAT) == []
    assert Writer(META).opening() == b""


DONE = Event("done", end=End("real-1", "texts", "length", Usage(3, 2, cached=1)))


def chunks(*events: Event, meta: Meta = META, chat: bool = True) -> list[dict]:
    made = Chunks(meta, chat)
    return [json.loads(chunk) for event in events for chunk in made.of(event)]


def test_what_came_as_no_chunk_becomes_one() -> None:
    call = Event("call", '{"a":', call=Piece(0, "c1", "f"))
    made = chunks(
        Event(text="a"),
        Event("reasoning", "hm", signature="SIG"),
        Event(text="no", refusal=True),
        call,
        Event("call", "1}", call=Piece(0)),
        Event(text="b", choice=1),
        DONE,
    )
    named = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    assert [one["choices"][0]["delta"] for one in made[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"reasoning_content": "hm"},
        {"refusal": "no"},
        {"tool_calls": [named]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"content": "b"},
        {},
    ]
    assert [one["choices"][0]["index"] for one in made[-3:-1]] == [1, 0]
    assert made[-2]["choices"][0]["finish_reason"] == "length"
    counted = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert made[-1]["usage"] == {**counted, "prompt_tokens_details": {"cached_tokens": 1}}
    assert {(one["id"], one["created"], one["model"], one["object"]) for one in made} == {
        ("chatcmpl-abc", 17, "m", "chat.completion.chunk")
    }


def test_a_signature_alone_says_nothing() -> None:
    assert len(chunks(Event(text="a"), Event("reasoning", signature="SIG"))) == 2


def test_the_words_before_tools() -> None:
    meta = replace(META, echo={"functions": True})
    _, called, end = chunks(
        Event("call", "{}", call=Piece(0, "c", "f")), Event("done", end=End("m", "u", "tool_calls")), meta=meta
    )
    assert called["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": "{}"}}
    assert end["choices"][0]["finish_reason"] == "function_call"


def test_legacy_completions_have_texts() -> None:
    thought, text, end, _ = chunks(Event("reasoning", "hm"), Event(text="a"), DONE, chat=False)
    assert (thought["choices"][0]["text"], text["choices"][0]["text"]) == ("", "a")
    assert (text["object"], text["id"]) == ("text_completion", "cmpl-abc")
    assert end["choices"][0]["finish_reason"] == "length"


def test_beside_chunks_of_the_upstream_none_is_made() -> None:
    frame = b'{"choices":[]}'
    assert chunks(Event(text="a", frames=(frame, frame)), Event(text="b"), DONE) == [{"choices": []}] * 2


@pytest.mark.parametrize("reason", ["cancelled", None])
def test_an_empty_answer(reason: str | None) -> None:
    made = chunks(Event("done", end=End("m", "u", reason)))
    reasons = [one["choices"][0]["finish_reason"] for one in made]
    assert reasons == ([None] if reason else [None, "stop"])
