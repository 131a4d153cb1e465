"""OpenAI's event stream, byte for byte."""

from __future__ import annotations

import json

import pytest

from millstream.events import End, Event, Failure
from millstream.formats.frames import Frames
from millstream.wire import sse

USAGE = b'{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'


def encode(*frames: bytes, usage: bool = False) -> bytes:
    return Frames(usage).encode([Event("frame", frame=frame) for frame in frames])


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
    assert Frames(False).closing(Event("done", end=End("m", "u"))) == b"data: [DONE]\n\n"


def test_a_failure_is_the_last_word():
    failure = Failure("Gone.", "upstream_error", "upstream_broke")
    closing = Frames(False).closing(Event("failed", end=End("m", "u", failure=failure)))
    assert isinstance(closing, bytes)
    assert b"DONE" not in closing
    [event] = sse.Decoder().feed(closing)
    assert json.loads(event.data)["error"]["code"] == "upstream_broke"


def test_a_heartbeat_is_no_event():
    assert sse.Decoder().feed(Frames.HEARTBEAT) == []
    assert Frames(False).opening() == b""
