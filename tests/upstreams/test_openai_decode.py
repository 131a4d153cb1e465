"""Recorded answers of OpenAI-like servers: each `tests/wire/openai/NAME.sse` means what `NAME.json` says."""

import json
from pathlib import Path

import pytest

from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.upstreams import answers
from millstream.upstreams.completion import Decoder
from millstream.wire.sse import Decoder as ServerEvents

CASES = sorted((Path(__file__).parent.parent / "wire" / "openai").glob("*.sse"))
CALL = Call("asked", [{"role": "user", "content": "12345678"}])


class Recorded:
    """A body that comes in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read(self, seconds=None) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def decode(pieces, call=CALL):
    """Every batch, and the error if it ended with one."""
    batches = []
    decoder = Decoder(call, "test")
    try:
        for batch in answers.read(Recorded(*pieces), ServerEvents(), decoder, "test"):
            batches.append(batch)
    except UpstreamError as error:
        return batches, error
    return batches, None


def seen(pieces):
    """What came, in the words of the JSON files."""
    batches, error = decode(pieces)
    events = [event for batch in batches for event in batch]
    if error is not None:
        return {"events": [[event.type, event.text] for event in events], "error": error.code}, error.message
    *events, done = events
    assert (done.type, done.end.upstream) == ("done", "test")
    usage = done.end.usage
    return {
        "events": [[event.type, event.text] for event in events],
        "finish_reason": done.end.finish_reason,
        "usage": [usage.input, usage.output, usage.source],
        "model": done.end.model,
    }, ""


def wanted(case):
    want = json.loads(case.with_suffix(".json").read_text("utf-8"))
    return want, want.pop("says", "")


def test_there_are_cases():
    assert len(CASES) > 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_recorded_answer_in_one_piece(case):
    want, says = wanted(case)
    got, message = seen([case.read_bytes()])
    assert got == want
    assert says in message


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_recorded_answer_byte_by_byte(case):
    data = case.read_bytes()
    want, says = wanted(case)
    got, message = seen([data[at : at + 1] for at in range(len(data))])
    assert got == want
    assert says in message


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_recorded_answer_cut_in_two_at_every_byte(case):
    data = case.read_bytes()
    want, _ = wanted(case)
    for at in range(1, min(len(data), 3000)):
        assert seen([data[:at], data[at:]])[0] == want, at


def test_all_events_of_one_read_are_one_batch():
    batches, _ = decode([recorded("openai")])
    assert [[event.type for event in batch] for batch in batches] == [["message", "message", "done"]]


def test_what_came_before_an_error_is_given_first():
    batches, error = decode([recorded("error_vllm")])
    assert [[event.text for event in batch] for batch in batches] == [["a"]]
    assert error.code == "upstream_broke"


def test_an_event_is_given_as_soon_as_its_line_end_has_come():
    first, rest = recorded("openai").split(b'"The"', 1)
    line, rest = rest.split(b"\n\n", 1)
    batches, _ = decode([first + b'"The"' + line + b"\n\n", rest])
    assert [event.text for event in batches[0]] == ["The"]


def test_for_the_openai_api_each_payload_is_a_frame_as_it_came():
    data = recorded("several_answers")
    batches, _ = decode([data], Call("asked", [], api="openai"))
    *frames, done = batches[0]
    assert b"".join(b"data: %s\n\n" % event.frame for event in frames) + b"data: [DONE]\n\n" == data
    assert (done.type, done.end.usage.output) == ("done", 15)


def test_a_whole_answer_without_a_stream():
    body = b'{"model":"m","choices":[{"message":{"content":"all"},"finish_reason":null}],"usage":{"prompt_tokens":1}}'
    source = answers.payloads("application/json; charset=utf-8")
    (batch,) = answers.read(Recorded(body[:30], body[30:]), source, Decoder(CALL, "test"), "test")
    assert [event.text for event in batch] == ["all", ""]
    assert batch[-1].end.finish_reason == "stop"


def recorded(name):
    return next(case for case in CASES if case.stem == name).read_bytes()
