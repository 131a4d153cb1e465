"""Connections that wait for the next question."""

import socket
import time

import pytest

from millstream.sockets import pool
from millstream.sockets.pool import Pool
from millstream.wire.http import Chunked, Length


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    yield here, there
    here.close()
    there.close()


def chunks(*fed):
    framing = Chunked()
    for data in fed:
        framing.feed(data)
    return framing


# What has been read of the body, what comes while the connection waits; whether it may be used again.
CASES = {
    "nothing more": (chunks(b"1\r\na\r\n0\r\n\r\n"), b"", True),
    "the last chunk": (chunks(b"1\r\na\r\n"), b"0\r\n\r\n", True),
    "no last chunk": (chunks(b"1\r\na\r\n"), b"", False),
    "more of the body": (chunks(b"1\r\na\r\n"), b"1\r\nb\r\n", False),
    "something behind the end": (chunks(b"1\r\na\r\n"), b"0\r\n\r\nHTTP/1.1 408 \r\n\r\n", False),
    "something nobody asked for": (Length(0), b"HTTP/1.1 408 Request Timeout\r\n\r\n", False),
    "its end": (Length(0), None, False),
}


@pytest.mark.parametrize(("framing", "comes", "again"), CASES.values(), ids=CASES)
def test_a_connection_is_used_again_only_where_nothing_surprises(pair, monkeypatch, framing, comes, again):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    here, there = pair
    one = Pool()
    one.put(here, framing)
    there.close() if comes is None else there.sendall(comes)
    monkeypatch.setattr(pool, "TAIL", 0.0)
    assert (one.take() is here, here.fileno() == -1) == (again, not again)
    assert one.take() is None


def test_a_last_chunk_that_is_late_is_waited_for_and_nobody_waits(pair, monkeypatch):
    monkeypatch.setattr(pool, "SETTLE", 0.0)
    monkeypatch.setattr(pool, "TAIL", 1e9)
    here, there = pair
    one = Pool()
    one.put(here, chunks(b"1\r\na\r\n"))
    assert one.take() is None
    there.sendall(b"0\r\n\r\n")
    assert one.take() is here


def test_the_newest_of_those_that_have_settled_is_taken_and_old_ones_are_closed(pair, monkeypatch):
    here, there = pair
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one = Pool()
    one.put(here, Length(0))
    assert one.take() is None  # llama.cpp may be about to close it
    now[0] += pool.SETTLE
    one.put(there, Length(0))
    assert one.take() is here
    one.put(here, Length(0))
    now[0] += pool.IDLE + 1
    assert (one.take(), here.fileno(), there.fileno()) == (None, -1, -1)
