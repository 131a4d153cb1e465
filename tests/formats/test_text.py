"""text/plain, byte for byte."""

import pytest

from millstream.events import End, Event, Failure, Meta
from millstream.formats import ABORT, Options
from millstream.formats.text import Text

META = Meta(id="abc", owner="me", worker="w1", created=0.0, model="m")
BATCHES = [
    [Event(text="aé", n=1), Event(type="reasoning", text="hm", n=2)],
    [],
    [Event(text="日本", n=3), Event(text="other", choice=1, n=4), Event(text="😀", n=5)],
    [Event(text="end\n", n=6)],
]
ANSWER = "aé日本😀end\n".encode()


def test_only_the_text_of_the_answer_is_written():
    format = Text(META, Options())
    assert format.opening() == b""
    assert [format.encode(batch) for batch in BATCHES] == ["aé".encode(), b"", "日本😀".encode(), b"end\n"]


@pytest.mark.parametrize("offset", range(len(ANSWER) + 3))
def test_an_offset_skips_exactly_so_many_bytes(offset):
    format = Text(META, Options(offset=offset))
    assert b"".join(map(format.encode, BATCHES)) == ANSWER[offset:]


def test_halves_of_characters_count_the_same_in_any_batch():
    events = [Event(text="\ud83d", n=1), Event(text="\ude00!", n=2)]
    singly = Text(META, Options(offset=3))
    expected = "\ufffd!".encode()
    assert b"".join(singly.encode([event]) for event in events) == expected
    assert Text(META, Options(offset=3)).encode(events) == expected


@pytest.mark.parametrize(("padding", "opening"), [(0, b""), (1, b"\n"), (4, b"   \n"), (2048, b" " * 2047 + b"\n")])
def test_padding_is_blanks_and_a_line_end_outside_the_offset(padding, opening):
    format = Text(META, Options(padding=padding, offset=1))
    assert format.opening() == opening
    assert format.encode(BATCHES[0]) == "é".encode()


def test_done_ends_cleanly_and_failed_never():
    failure = Failure("It broke.", "upstream_error", "upstream_broke")
    assert Text(META, Options()).closing(Event(type="done", end=End("m", "u"), n=7)) == b""
    assert Text(META, Options()).closing(Event(type="failed", end=End("m", "u", failure=failure), n=7)) is ABORT


def test_there_is_no_heartbeat():
    assert Text.HEARTBEAT == b""
