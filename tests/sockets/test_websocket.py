"""A WebSocket's frames, without a socket. What they carry is tested with the recorded answers."""

import time

import pytest

from millstream.sockets.websocket import Connection, Refused
from tests.sockets.pieces import Pieces, receive
from tests.upstreams.spark_server import wire


def test_pings_are_answered():
    connection = Connection(Pieces([wire(b"one", 9) + wire("text")]))
    connection.upgrade("h", "/", 0.0)
    assert connection.receive() == ["text"]
    assert connection._sock.sent[:2] == b"\x8a\x83"  # a masked pong of three bytes


def test_a_close_is_answered_with_a_close():
    connection = Connection(Pieces([wire("text") + wire(b"\x03\xe8", 8)]))
    connection.upgrade("h", "/", 0.0)
    assert (connection.receive(), connection.receive()) == (["text"], [])
    assert connection._sock.sent[:2] == b"\x88\x82"  # masked, with the two bytes of the code


BROKEN = {
    "invalid UTF-8 in a text": wire(b"\xff\xfe"),
    "a masked frame": b"\x81\x81\0\0\0\0a",
    "an unknown opcode": wire(b"a", 3),
    "a fragment of nothing": wire(b"a", 0),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_came_before_broken_frames_is_given(data):
    connection = Connection(Pieces([wire("a") + data]))
    connection.upgrade("h", "/", 0.0)
    assert connection.receive() == ["a"]
    with pytest.raises(ValueError, match=r"\w"):
        connection.receive()


LARGE = "x" * 70_000


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70_000])
def test_messages_of_every_length_class(size):
    assert list(receive([wire(LARGE[:size]) + wire("next")])) == [[LARGE[:size], "next"]]


@pytest.mark.parametrize("parts", [["y" * 60] * 2, [""] * 101])
def test_a_message_without_end_is_refused(monkeypatch, parts):
    monkeypatch.setattr("millstream.sockets.websocket.LONGEST", 100)
    with pytest.raises(ValueError, match="longer than 100"):
        list(receive([wire(parts[0], fin=False), *(wire(part, 0, False) for part in parts[1:])]))


class Mute(Pieces):
    """Says the same to every handshake."""

    def sendall(self, data):
        pass


REFUSALS = {
    "a length": b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
    "chunks": b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    "until close": b"HTTP/1.1 403 No\r\n\r\nno",
    "HTTP/1.0": b"HTTP/1.0 403 No\r\n\r\nno",
    "less than its length": b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno",
}


@pytest.mark.parametrize("data", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_refusal_has_status_and_body(data, size):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    with pytest.raises(Refused) as caught:
        Connection(Mute(pieces)).upgrade("h", "/", time.monotonic() + 60)
    assert (caught.value.status, caught.value.body) == (403, b"no")


NOT_HTTP = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ValueError),
    "nothing": (b"", ConnectionError),
    "half a head": (b"HTTP/1.1 101 Swi", ConnectionError),
    "a wrong accept": (
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
        ValueError,
    ),
    "no upgrade": (b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", ValueError),
}


@pytest.mark.parametrize(("data", "kind"), NOT_HTTP.values(), ids=NOT_HTTP)
def test_a_handshake_that_is_none(data, kind):
    with pytest.raises(kind):
        Connection(Mute([data])).upgrade("h", "/", time.monotonic() + 60)
