"""Bytes → lines."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.wire.lines import Lines

CASES = [
    (b"", [], []),
    (b"a", [], [b"a"]),
    (b"a\n", [b"a"], []),
    (b"a\r\nb\rc\nd", [b"a", b"b", b"c"], [b"d"]),
    (b"\n\r\n\r", [b"", b"", b""], []),
    (b"\r\r\n\n", [b"", b"", b""], []),
    ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf".encode()], []),
]


@pytest.mark.parametrize(("data", "ended", "begun"), CASES)
def test_lines_end_at_lf_crlf_and_cr_only(data, ended, begun):
    lines = Lines()
    assert lines.feed(data) == ended
    assert lines.close() == begun


@pytest.mark.parametrize(("data", "ended", "begun"), CASES)
def test_lines_are_the_same_one_byte_at_a_time(data, ended, begun):
    lines = Lines()
    assert [line for byte in data for line in lines.feed(bytes([byte]))] == ended
    assert lines.close() == begun


def test_a_cr_at_the_end_of_a_read_ends_its_line_at_once():
    lines = Lines()
    assert lines.feed(b"a\r") == [b"a"]
    assert lines.feed(b"") == []
    assert lines.feed(b"\nb\n") == [b"b"]


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"bb"])), st.lists(st.integers(0, 40)))
@settings(deadline=None)
def test_cuts_change_nothing(pieces, cuts):
    data = b"".join(pieces)
    ends = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    lines = Lines()
    found = [line for i, j in pairwise(ends) for line in lines.feed(data[i:j])]
    expected = re.sub(rb"\r\n?", b"\n", data).split(b"\n")
    assert [*found, *lines.close()] == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize(
    "reads", [[b"12345"], [b"1\n12345\n1"], [b"123", b"45"], [b"123", b"45\n"], [b"1", b"\n12345\n"]]
)
def test_a_line_over_the_limit_is_refused(reads):
    lines = Lines(limit=4)
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        for data in reads:
            lines.feed(data)


def test_lines_up_to_the_limit_are_taken():
    lines = Lines(limit=4)
    assert lines.feed(b"1234\n1234\n12") + lines.feed(b"34\n1") == [b"1234", b"1234", b"1234"]


def test_lines_do_not_add_up_to_the_limit():
    lines = Lines(limit=4)
    assert [line for data in (b"123", b"\n456", b"\n789", b"\n") for line in lines.feed(data)] == [
        b"123",
        b"456",
        b"789",
    ]
