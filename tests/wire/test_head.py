"""The head of a response, whole and cut at every byte."""

import pytest

from millstream.wire.head import LONGEST, Reader

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"

# The head; its status, whether the connection persists behind it, its headers.
HEADS = {
    "a length": (OK + LENGTH, 200, True, {"content-length": "5"}),
    "no length": (b"HTTP/1.1 500\r\n", 500, True, {}),
    "close": (OK + b"Connection: Close\r\n", 200, False, {"connection": "Close"}),
    "1.0": (b"HTTP/1.0 200 OK\r\n" + LENGTH, 200, False, {"content-length": "5"}),
    "1.0, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", 200, True, {"connection": "keep-alive"}),
    "a name twice": (OK + b"A: b\r\na: c\r\n", 200, True, {"a": "b, c"}),
    "Latin-1": (OK + b"A: \xe9\r\n", 200, True, {"a": "é"}),
    "line feeds": (b"HTTP/1.1 200 OK\nA: b\n", 200, True, {"a": "b"}),
    "an offer to upgrade": (OK + b"Upgrade: h2c\r\n", 200, True, {"upgrade": "h2c"}),
    "chunks and a length": (
        OK + LENGTH + b"Transfer-Encoding: chunked\r\n",
        200,
        False,
        {"content-length": "5", "transfer-encoding": "chunked"},
    ),
    "behind others": (HINTS + b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, True, {}),
}


@pytest.mark.parametrize(("head", "status", "persists", "headers"), HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("size", [1, 7, 9999])
def test_a_head(head, status, persists, headers, size):
    reader, data, read = Reader(), head + b"\r\nbody\r\n\r\n", None
    while read is None:
        piece, data = data[:size], data[size:]
        read = reader.feed(piece)
    assert (read.status, read.persists, dict(read.headers)) == (status, persists, headers)
    assert (read.rest + data).lstrip(b"\n") == b"body\r\n\r\n"  # "\n\r\n" ends a head, too


WRONG = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a name with a space": OK + b"A B: c\r\n\r\n",
    "two lengths": OK + LENGTH + b"Content-Length: 6\r\n\r\n",
    "another protocol from now on": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no end": OK + b"A: " + b"b" * LONGEST,
    "no end of others": HINTS * (LONGEST // len(HINTS) + 1),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_no_head(data):
    with pytest.raises(ValueError, match=r"\w"):
        Reader().feed(data)
