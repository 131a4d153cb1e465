"""HTTP bodies: the framing comes off, and a cut is told.

The cases are in tests/wire/chunked: `bytes` and `payload` as strings with one character for each
byte, U+0000 to U+00FF.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.wire.http import LONGEST_HEAD, Chunked, Length, UntilClose, framing

FILES = Path(__file__).parent / "chunked"
WHOLE = [
    (c["name"], c["bytes"].encode("latin-1"), c["payload"].encode("latin-1"))
    for c in json.loads((FILES / "whole.json").read_text())
]
BROKEN = [(c["name"], c["bytes"].encode("latin-1")) for c in json.loads((FILES / "broken.json").read_text())]
every_whole = pytest.mark.parametrize(("name", "data", "payload"), WHOLE, ids=[case[0] for case in WHOLE])
every_broken = pytest.mark.parametrize(("name", "data"), BROKEN, ids=[case[0] for case in BROKEN])


def feed(body, *reads):
    return b"".join([body.feed(data) for data in reads])


def one_by_one(data):
    return [bytes([byte]) for byte in data]


@every_whole
def test_chunks_cut_at_every_byte(name, data, payload):
    for cut in range(len(data) + 1):
        body = Chunked()
        assert feed(body, data[:cut], data[cut:]) == payload, f"cut at {cut}"
        assert body.done and not body.more
        body.close()


@every_whole
def test_chunks_one_byte_at_a_time_with_more_behind(name, data, payload):
    body = Chunked()
    assert feed(body, *one_by_one(data + b"\r\nHTTP")) == payload
    assert body.done and body.more


@every_whole
def test_what_is_behind_the_last_chunk_is_noticed(name, data, payload):
    body = Chunked()
    assert body.feed(data + data) == payload
    assert body.more


@every_whole
def test_chunks_that_stop_before_the_end_are_cut(name, data, payload):
    for cut in range(len(data)):
        body = Chunked()
        assert payload.startswith(body.feed(data[:cut]))
        assert not body.done
        with pytest.raises(ValueError, match="cut"):
            body.close()


@every_broken
def test_broken_chunks_are_refused(name, data):
    with pytest.raises(ValueError, match="bad chunk"):
        Chunked().feed(data)
    with pytest.raises(ValueError, match="bad chunk"):
        feed(Chunked(), *one_by_one(data))


@given(st.lists(st.binary(min_size=1, max_size=40)), st.sets(st.integers(0, 600)))
@settings(deadline=None)
def test_any_payload_in_chunks_cut_anywhere_comes_out_as_it_was(chunks, cuts):
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    body = Chunked()
    assert feed(body, *(data[i:j] for i, j in pairwise(ends))) == b"".join(chunks)
    assert body.done


@pytest.mark.parametrize("head", [b"5;" + b"x" * LONGEST_HEAD, b"0\r\nA: " + b"x" * LONGEST_HEAD])
def test_endless_extensions_and_trailers_are_refused(head):
    body = Chunked()
    with pytest.raises(ValueError, match="bad chunk"):
        feed(body, *(head[at : at + 100] for at in range(0, len(head), 100)), b"more")


def test_a_payload_is_given_before_its_chunk_is_whole():
    body = Chunked()
    assert body.feed(b"fffff\r\nhel") == b"hel"
    assert body.feed(b"lo") == b"lo"


def test_a_length_takes_so_many_bytes():
    body = Length(5)
    assert feed(body, b"hel", b"", b"lo!") == b"hello"
    assert body.done and body.more
    assert body.feed(b"?") == b"" and body.more
    body.close()


def test_a_length_that_stops_before_the_end_is_cut():
    body = Length(5)
    body.feed(b"hel")
    with pytest.raises(ValueError, match="cut: the peer closed, and 2 bytes"):
        body.close()


def test_no_length_is_done_at_once():
    body = Length(0)
    assert body.done and body.feed(b"x") == b"" and body.more


def test_until_close_takes_everything():
    body = UntilClose()
    assert feed(body, b"hel", b"lo") == b"hello"
    assert not body.done
    body.close()
    assert body.done and not body.more


@pytest.mark.parametrize(
    ("status", "method", "headers", "kind"),
    [
        (200, "POST", [("Transfer-Encoding", "chunked")], Chunked),
        (200, "POST", [("transfer-encoding", " Chunked ")], Chunked),
        (200, "POST", [("Transfer-Encoding", ",identity, chunked,")], Chunked),
        (200, "POST", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")], Chunked),
        (200, "GET", [("Content-Length", "5")], Length),
        (200, "GET", [("Content-Length", "5, 5")], Length),
        (200, "GET", [("Content-Length", "5"), ("content-length", "5")], Length),
        (200, "GET", [("Transfer-Encoding", "identity")], UntilClose),
        (200, "GET", [("Content-Type", "text/plain")], UntilClose),
        (401, "POST", [], UntilClose),
        (200, "HEAD", [("Content-Length", "5")], None),
        (204, "POST", [("Transfer-Encoding", "chunked")], None),
        (304, "GET", [("Content-Length", "5")], None),
        (100, "POST", [], None),
        (200, "CONNECT", [], None),
    ],
)
def test_the_framing_follows_from_status_method_and_headers(status, method, headers, kind):
    body = framing(status, method, headers)
    assert isinstance(body, kind or Length)
    assert body.done == (kind is None)


def test_the_length_is_that_of_the_header():
    assert framing(200, "GET", [("Content-Length", "3")]).feed(b"hello") == b"hel"


@pytest.mark.parametrize(
    "headers",
    [
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip")],
        *([("Content-Length", bad)] for bad in ("-1", "+5", "5, 6", "0x5", "1_0", "five", "9" * 30, "\u0665")),
        [("Content-Length", "5"), ("Content-Length", "6")],
    ],
)
def test_framing_that_can_not_be_right_is_refused(headers):
    with pytest.raises(ValueError, match="the response has"):
        framing(200, "POST", headers)
