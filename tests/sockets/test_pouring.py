"""A body that is poured from the event loop, on real sockets under gevent."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event

from millstream.sockets.upstream import Body
from millstream.wire.http import Chunked, Length, UntilClose

WAIT = 20  # s; a deadline for what should come at once


class Taken(list):
    """What was poured, and where it was: `more` says whether to go on."""

    def __init__(self, more=lambda payload: True):
        super().__init__()
        self.came = Event()
        self.more = more
        self.where = set()

    def __call__(self, payload: bytes) -> bool:
        self.append(payload)
        self.where.add(gevent.getcurrent())
        self.came.set()
        return self.more(payload)


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    here.settimeout(WAIT)
    yield here, there
    here.close()
    there.close()


def body(sock, framing=None) -> Body:
    return Body(sock, framing or Chunked())


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def pouring(one: Body, taken: Taken) -> AsyncResult:
    """What is set when it is over."""
    over = AsyncResult()
    poured = one.pour(taken, lambda error: over.set_exception(error) if error else over.set())
    if not poured:
        over.set()
    return over


def test_it_comes_in_the_event_loop_until_its_end(pair):
    here, there = pair
    there.sendall(chunk(b"one"))  # may be read with the head
    one, taken = body(here), Taken()
    pump = pouring(one, taken)
    for payload in (b"two", b"three"):
        gevent.idle()
        there.sendall(chunk(payload))
    there.sendall(b"0\r\n\r\n")
    pump.get(timeout=WAIT)
    assert b"".join(taken) == b"onetwothree"
    assert gevent.get_hub() in taken.where
    assert one.read() == b""


def test_every_byte_for_itself(pair):
    here, there = pair
    one, taken = body(here), Taken()
    pump = pouring(one, taken)
    for byte in chunk(b"split") + b"0\r\n\r\n":
        there.sendall(bytes([byte]))
        gevent.sleep(0)
    pump.get(timeout=WAIT)
    assert b"".join(taken) == b"split"


def test_a_body_that_is_not_there_is_over_at_once(pair):
    here, _ = pair
    one = body(here, Length(0))
    assert (one.pour(Taken(), lambda error: None), one.read()) == (False, b"")


def test_who_has_enough_reads_on(pair):
    here, there = pair
    one, taken = body(here), Taken(more=lambda payload: b"enough" not in payload)
    pump = pouring(one, taken)
    there.sendall(chunk(b"enough"))
    pump.get(timeout=WAIT)
    there.sendall(chunk(b"more") + b"0\r\n\r\n")
    assert (taken, one.read(), one.read()) == ([b"enough"], b"more", b"")


@pytest.mark.parametrize(("then", "error"), [(b"", ConnectionError), (b"rubbish\r\n", ValueError)])
def test_a_cut_and_a_broken_framing_are_for_read_to_tell(pair, then, error):
    here, there = pair
    one, taken = body(here), Taken()
    pump = pouring(one, taken)
    there.sendall(chunk(b"begun") + then)
    there.close()
    pump.get(timeout=WAIT)
    with pytest.raises(error):
        while one.read():
            pass


def test_a_reset_is_no_end_where_the_end_is_the_connection_s():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    there = socket.create_connection(listener.getsockname())
    here, _ = listener.accept()
    one, taken = body(here, UntilClose()), Taken()
    pump = pouring(one, taken)
    there.sendall(b"begun")
    assert taken.came.wait(WAIT)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    there.close()
    pump.get(timeout=WAIT)
    with pytest.raises(ConnectionError):
        one.read()
    here.close()
    listener.close()


def test_what_taking_raises_is_raised_to_the_one_who_pours(pair):
    here, there = pair

    def fails(payload: bytes) -> bool:
        raise KeyError("on purpose")

    over = pouring(body(here), Taken(more=fails))
    there.sendall(chunk(b"x"))
    with pytest.raises(KeyError):
        over.get(timeout=WAIT)


def test_after_cease_it_is_for_read_again(pair):
    here, there = pair
    one, taken = body(here), Taken()
    over = pouring(one, taken)
    there.sendall(chunk(b"early"))
    assert taken.came.wait(WAIT)
    one.cease()
    there.sendall(chunk(b"late"))
    assert (one.read(), taken, over.ready()) == (b"late", [b"early"], False)


def test_nothing_comes_after_close(pair):
    here, there = pair
    one, taken = body(here), Taken()
    pouring(one, taken)
    one.close()
    with pytest.raises(OSError):
        there.sendall(chunk(b"late"))
    gevent.idle()
    assert taken == []
