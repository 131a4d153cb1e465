"""Recorded answers of Spark: each line of tests/wire/spark/NAME.jsonl is a message; NAME.json says what they mean."""

import json
from pathlib import Path

import pytest

from millstream.dialects.spark.reader import Frames
from millstream.errors import UpstreamError
from millstream.settings import Secret
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.spark import _decode
from millstream.upstreams.spark_codes import CODES, failure
from tests.calling import calling
from tests.sockets.pieces import cut, receive
from tests.upstreams.spark_server import error, fragments, frame, wire

CASES = sorted((Path(__file__).parent.parent / "wire" / "spark").glob("*.jsonl"))
CALL = calling("4.0Ultra", [{"role": "user", "content": "12345678"}])


def wanted(case):
    return json.loads(case.with_suffix(".json").read_text("utf-8"))


def lines(case):
    return case.read_text("utf-8").strip("\n").split("\n")


def made(*secrets):
    def fail(broken, begun):
        return failure("test", int(broken.reason.code), broken.reason.message, secrets, begun)

    return Decoder(Frames(offered=False), CALL, "test", secrets, fail=fail)


def decode(batches):
    """What came, in the words of the JSON files."""
    decoder, events, failed = made(), [], None
    for messages in batches:
        came, failed = _decode(decoder, messages)
        events += came
        if failed or decoder.done:
            break
    else:
        failed = decoder.cut()
    if failed:
        return {"events": [[e.type, e.text] for e in events], "error": failed.code, "paid": failed.paid}
    *events, done = events
    usage = done.end.usage
    return {
        "events": [[e.type, e.text] for e in events],
        "finish_reason": done.end.finish_reason,
        "usage": [usage.input, usage.output, usage.source],
    }


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_a_recorded_answer(case, binary, whole):
    messages = [line.encode() if binary else line for line in lines(case)]
    assert decode([messages] if whole else [[message] for message in messages]) == wanted(case)


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_a_recorded_answer_cut_anywhere(case, size):
    data = b"".join(wire(line[:5000]) for line in lines(case))  # one of them is endless
    assert decode(receive(cut(data, size))) == wanted(case)


TEXT = frame("星火 🙂", 0), frame("é", 1), frame("", 2, usage=(5, 9))
WHOLE = {"events": [["message", "星火 🙂"], ["message", "é"]], "finish_reason": "stop", "usage": [5, 9, "upstream"]}

WIRES = {
    "text": b"".join(map(wire, TEXT)),
    "binary": b"".join(wire(text, 2) for text in TEXT),
    "fragments of a byte, inside characters": b"".join(map(fragments, TEXT)),
    "binary fragments": b"".join(fragments(text, 2) for text in TEXT),
    "fragments with pings between them": b"".join(fragments(text, ping=True) for text in TEXT),
    "pongs nobody asked for": wire(b"", 10) + b"".join(map(wire, TEXT)) + wire(b"x", 10),
    "an empty first fragment": wire(b"", 1, False) + wire(TEXT[0], 0) + wire(TEXT[1]) + wire(TEXT[2]),
    "a close frame behind the end": b"".join(map(wire, TEXT)) + wire(b"\x03\xe8", 8),
}


@pytest.mark.system  # ten seconds
@pytest.mark.parametrize("data", WIRES.values(), ids=WIRES)
def test_messages_in_every_shape_cut_at_every_byte(data):
    assert decode(receive([data])) == WHOLE
    assert decode(receive(cut(data, 1))) == WHOLE
    for at in range(1, min(len(data), 700)):
        assert decode(receive([data[:at], data[at:]])) == WHOLE


def test_invalid_utf_8_in_a_binary_message_becomes_a_mark():
    message = frame("aXb", 2, usage=(5, 9)).encode().replace(b"X", b"\xff")
    assert decode([[message]])["events"] == [["message", "a\ufffdb"]]


PASSING = [*range(10007, 10013), 10110, 10222, 10223, 11202, 11203]
MENDED = (10005, 10013, 10021, 10163, 10907)  # by the client
BUSY = (10006, 10007, 10008, 10110, 11201, 11202, 11203)
ALL = [*range(10000, 10017), 10019, 10021, 10110, 10163, 10222, 10223, 10404, 10907, *range(11200, 11204)]


def test_every_code_has_a_meaning():
    assert sorted(CODES) == ALL


@pytest.mark.parametrize("code", [code for code in ALL if code != 10019])
def test_a_code_before_the_answer(code):
    with pytest.raises(UpstreamError) as caught:
        made().feed(error(code, "WhatItSays"))
    assert f"(code {code}: WhatItSays). " in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.paid == (code not in PASSING)
    assert caught.value.status == (400 if code in MENDED else 429 if code in BUSY else 502)


@pytest.mark.parametrize("code", ALL)
def test_no_code_is_tried_again_once_something_was_shown(code):
    failed = failure("test", code, "", (), begun=True)
    assert failed.paid
    assert failed.code not in ("upstream_refused", "upstream_limited")
    assert failed.retry_after is None
    assert not failed.elsewhere or failed.code == "upstream_auth"


@pytest.mark.parametrize(("code", "elsewhere"), [(11200, True), (11201, True), (10016, True), (10005, False)])
def test_another_upstream_may_have_what_this_one_refuses(code, elsewhere):
    assert failure("test", code, "", (), begun=False).elsewhere is elsewhere


def test_keys_in_an_errors_words_are_hidden():
    decoder = made(Secret("verysecretkey"))
    with pytest.raises(UpstreamError) as caught:
        decoder.feed(error(11200, "app verysecretkey has no licence"))
    assert "verysecret" not in caught.value.message
    assert "[key] has no licence" in caught.value.message
