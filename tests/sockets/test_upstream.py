"""A body that comes in the event loop, on real sockets under gevent."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult

from millstream.sockets.upstream import Body
from millstream.wire.http import Chunked, Length, UntilClose

WAIT = 20  # s; a deadline for what should come at once


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    yield here, there
    here.close()
    there.close()


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Heard:
    """What came, and how it ended."""

    def __init__(self, body, then=lambda payload: None):
        self.came: list[bytes] = []
        self.where = set()
        self.over = AsyncResult()
        self.ends = 0
        self._then = then
        body.begin(self.take, self.ended)

    def take(self, payload):
        self.came.append(payload)
        self.where.add(gevent.getcurrent())
        self._then(payload)

    def ended(self, trouble):
        self.ends += 1
        self.over.set(trouble)


@pytest.mark.parametrize("first", [b"", chunk(b"one")])
@pytest.mark.parametrize("size", [1, 4, 999])
def test_it_comes_in_the_event_loop_until_its_end(pair, first, size):
    here, there = pair
    heard = Heard(Body(here, Chunked(), first))
    data = (b"" if first else chunk(b"one")) + chunk(b"two") + b"0\r\n\r\n"
    for at in range(0, len(data), size):
        there.sendall(data[at : at + size])
        gevent.sleep(0)
    assert heard.over.get(timeout=WAIT) is None
    assert (b"".join(heard.came), heard.ends) == (b"onetwo", 1)
    assert gevent.get_hub() in heard.where


# The framing, what is sent, whether the connection ends behind it; what came, and the error.
ENDS = {
    "with the head": (Length(0), b"", False, b"", None),
    "a length": (Length(3), b"abc", False, b"abc", None),
    "the connection's": (UntilClose(), b"abc", True, b"abc", None),
    "a cut chunk": (Chunked(), b"5\r\nab", True, b"ab", ConnectionError),
    "a cut length": (Length(9), b"abc", True, b"abc", ConnectionError),
    "broken framing": (Chunked(), chunk(b"a") + b"rubbish\r\n", False, b"", ValueError),
}


@pytest.mark.parametrize(("framing", "sent", "closes", "came", "trouble"), ENDS.values(), ids=ENDS)
def test_how_it_ends_is_told_once(pair, framing, sent, closes, came, trouble):
    here, there = pair
    heard = Heard(Body(here, framing))
    there.sendall(sent)
    if closes:
        there.close()
    error = heard.over.get(timeout=WAIT)
    assert (type(error) if error else None, b"".join(heard.came), heard.ends) == (trouble, came, 1)


def test_what_taking_raises_is_told():
    here, there = socket.socketpair()
    heard = Heard(Body(here, Chunked()), then=lambda payload: {}[payload])
    there.sendall(chunk(b"x") * 2)
    assert isinstance(heard.over.get(timeout=WAIT), KeyError)
    assert len(heard.came) == 1
    here.close()
    there.close()


@pytest.mark.parametrize("when", ["at once", "while taking", "later", "twice"])
def test_nothing_comes_after_close_and_the_connection_is_closed_when_it_returns(pair, when):
    here, there = pair
    body = Body(here, Chunked(), chunk(b"first") if when in ("at once", "while taking") else b"")
    fileno = []

    def close(payload=b""):
        body.close()
        fileno.append(here.fileno())

    heard = Heard(body, then=close if when == "while taking" else lambda payload: None)
    if when != "while taking":
        close()
    if when == "twice":
        close()
    assert set(fileno) == {-1}
    with pytest.raises(OSError):
        there.sendall(chunk(b"late"))
        there.sendall(chunk(b"later"))
    gevent.idle()
    assert (b"".join(heard.came) in (b"", b"first"), heard.ends) == (True, 0)


def test_a_rest_that_does_not_come_is_a_time_out(pair):
    here, there = pair
    body = Body(here, Chunked())
    heard = Heard(body, then=lambda payload: body.hurry(0.01))
    there.sendall(chunk(b"all but the end"))
    assert isinstance(heard.over.get(timeout=WAIT), TimeoutError)


def test_a_reset_is_no_end_where_the_end_is_the_connections():
    listener = socket.create_server(("127.0.0.1", 0))
    there = socket.create_connection(listener.getsockname())
    here, _ = listener.accept()
    heard = Heard(Body(here, UntilClose()), then=lambda payload: there.close())
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    there.sendall(b"begun")
    assert isinstance(heard.over.get(timeout=WAIT), ConnectionError)
    here.close()
    listener.close()


def test_it_works_where_nothing_is_patched():
    import socket as plain

    here, there = plain.socketpair()
    heard = Heard(Body(here, Chunked()))
    there.sendall(chunk(b"one") + b"0\r\n\r\n")
    assert heard.over.get(timeout=WAIT) is None
    assert heard.came == [b"one"]
    here.close()
    there.close()
