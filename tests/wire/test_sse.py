"""Event streams → events.

The cases are in tests/wire/sse: `bytes` as a string with one character (U+0000 to U+00FF) for each byte, the
`events`, the ones that only `close` gives (`at_close`), and `retry` where the stream sets it. standard.json is what
every parser must give that keeps to the specification (without `at_close`); upstreams.json is what upstreams send.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.wire.sse import Decoder

CASES = [
    case
    for name in ("standard.json", "upstreams.json")
    for case in json.loads((Path(__file__).parent / "sse" / name).read_text("utf-8"))
]
every_case = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


def feed(decoder, *reads):
    return [shown(event) for data in reads for event in decoder.feed(data)]


def shown(event):
    return {"type": event.type, "data": event.data.decode("utf-8", "replace"), "id": event.id}


@every_case
def test_whole(case):
    decoder = Decoder()
    assert feed(decoder, case["bytes"].encode("latin-1")) == case["events"]
    assert decoder.retry == case.get("retry")
    assert [shown(event) for event in decoder.close()] == case.get("at_close", [])


@every_case
def test_one_byte_at_a_time(case):
    decoder = Decoder()
    assert feed(decoder, *(bytes([byte]) for byte in case["bytes"].encode("latin-1"))) == case["events"]
    assert [shown(event) for event in decoder.close()] == case.get("at_close", [])


@every_case
def test_cut_at_every_byte(case):
    data = case["bytes"].encode("latin-1")
    for cut in range(len(data) + 1):
        assert feed(Decoder(), data[:cut], data[cut:]) == case["events"], f"cut at {cut}"


@every_case
def test_with_more_behind_it(case):
    events = feed(Decoder(), case["bytes"].encode("latin-1") + b"\n\ndata: behind\n\n")
    assert events[:-1] == case["events"] + case.get("at_close", [])
    assert events[-1]["data"] == "behind"


PIECES = [
    b"data",
    b"data: ",
    b":",
    b" ",
    b"\r",
    b"\n",
    b"\r\n",
    b"id",
    b"event: ",
    b"x",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xe6\x97",
]


def by_the_specification(data):
    """The specification, word by word, on the whole stream at once."""
    events, id_, type_, buffer = [], "", "", ""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if buffer:
                events.append({"type": type_ or "message", "data": buffer[:-1], "id": id_})
            type_, buffer = "", ""
        elif name == "data":
            buffer += value + "\n"
        elif name == "event":
            type_ = value
        elif name == "id" and "\0" not in value:
            id_ = value
    return events


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sets(st.integers(0, 200)))
@settings(deadline=None)
def test_any_stream_cut_anywhere_is_read_as_the_specification_says(pieces, cuts):
    data = b"".join(pieces)
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    reads = [data[i:j] for i, j in pairwise(ends)]
    assert feed(Decoder(), *reads) == by_the_specification(data)


def test_an_event_that_cr_ends_is_given_before_the_next_byte():
    assert [event.data for event in Decoder().feed(b"data: a\r\r")] == [b"a"]


def test_too_much_data_in_one_event_is_refused():
    decoder = Decoder(limit=20)
    assert len(feed(decoder, b"data: 01234567890123\n\n" * 3)) == 3
    with pytest.raises(ValueError, match="more than 20 bytes"):
        decoder.feed(b"data: 0123456789\n" * 2)


def test_a_megabyte_in_one_event():
    data = b"data: " + b"x" * (1 << 20) + b"\n\n"
    decoder = Decoder()
    events = [event for at in range(0, len(data), 4096) for event in decoder.feed(data[at : at + 4096])]
    assert [len(event.data) for event in events] == [1 << 20]


def test_an_endless_number_as_retry_is_ignored():
    decoder = Decoder()
    decoder.feed(b"retry: " + b"9" * 5000 + b"\n")
    assert decoder.retry is None
