"""JSON lines → the bytes of each object."""

import pytest

from millstream.wire.ndjson import Decoder

CASES = [
    (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], []),
    (b'\n\r\n \t\n{"a":1}\r\n\n', [b'{"a":1}'], []),
    (b'{"a":1}\n{"b":2}', [b'{"a":1}'], [b'{"b":2}']),
    (b'{"a":1}\n  ', [b'{"a":1}'], []),
    ('{"a":"\u2028é😀"}\n'.encode(), ['{"a":"\u2028é😀"}'.encode()], []),
    (b"", [], []),
]


@pytest.mark.parametrize(("data", "objects", "at_close"), CASES)
def test_every_line_that_is_not_blank_is_given(data, objects, at_close):
    for cut in range(len(data) + 1):
        decoder = Decoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == objects
        assert decoder.close() == at_close


@pytest.mark.parametrize(("data", "objects", "at_close"), CASES)
def test_lines_are_the_same_one_byte_at_a_time(data, objects, at_close):
    decoder = Decoder()
    assert [line for byte in data for line in decoder.feed(bytes([byte]))] == objects
    assert decoder.close() == at_close


def test_an_object_is_given_as_soon_as_its_line_ends():
    decoder = Decoder()
    assert decoder.feed(b'{"a":1}\n{"b"') == [b'{"a":1}']
    assert decoder.feed(b":2}\n") == [b'{"b":2}']


def test_a_line_over_the_limit_is_refused():
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        Decoder(limit=4).feed(b'{"a":1}\n')
