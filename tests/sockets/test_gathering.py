"""A worker that has much to do looks at running answers less often; one that has not, and all else, looks at once."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent import get_hub, socket
from gevent.event import Event

from millstream.sockets import gathering
from millstream.sockets.gathering import Gathering
from millstream.sockets.reading import Reading

WAIT = 20  # s


@pytest.fixture
def gathered(monkeypatch):
    monkeypatch.setattr(gathering, "LOOK", 0.01)
    one = Gathering()
    yield one
    one.close()


@pytest.fixture
def pairs():
    made = [socket.socketpair() for _ in range(3)]
    yield made
    for pair in made:
        for end in pair:
            end.close()


class Reader(Reading):
    """Reads a byte each time, and says so."""

    def __init__(self, sock, heard):
        self.sock, self.heard = sock, heard
        super().__init__(sock.fileno(), self.turn)

    def turn(self):
        self.heard.append(self.sock.recv(1))


def until(happens) -> None:
    with gevent.Timeout(WAIT):
        while not happens():
            gevent.sleep(0.001)


def test_what_comes_is_read_whether_the_worker_is_busy_or_not(gathered, pairs, monkeypatch):
    heard: list[bytes] = []
    readers = [Reader(here, heard) for here, _ in pairs]
    for busy in (2.0, -1.0, 2.0):  # of a core
        monkeypatch.setattr(gathering, "BUSY", busy)
        until(lambda busy=busy: gathered._busy == (busy < 0))
        heard.clear()
        for n, (_, there) in enumerate(pairs):
            there.sendall(b"%d" % n * 2)
        until(lambda: len(heard) == 6)
        assert sorted(heard) == [b"0", b"0", b"1", b"1", b"2", b"2"]
    assert all(reader._gathered is gathered for reader in readers)
    for reader in readers:
        reader.stop()
    assert gathered._turns == {}


def test_the_first_read_waits_for_nobody(gathered, pairs, monkeypatch):
    monkeypatch.setattr(gathering, "BUSY", -1.0)
    monkeypatch.setattr(gathering, "PAUSE", 1e9)
    gathered._tick = get_hub().loop.timer(1e9, 1e9, ref=False)
    until(lambda: gathered._busy)
    heard: list[bytes] = []
    reader = Reader(pairs[0][0], heard)
    pairs[0][1].sendall(b"ab")
    until(lambda: heard)
    gevent.sleep(0.01)
    assert heard == [b"a"]  # the second one is gathered, and that is never
    reader.stop()


def test_one_that_is_stopped_by_anothers_turn_and_one_that_raises_hold_nobody_up(gathered, pairs, monkeypatch):
    monkeypatch.setattr(get_hub(), "handle_error", lambda *error: None)
    heard: list[int] = []
    readers: list[Reading] = []

    def turn(n):
        pairs[n][0].recv(1)
        heard.append(n)
        if len(heard) > 3:
            readers[(n + 1) % 3].stop()
            raise KeyError("on purpose")

    readers += [Reading(pairs[n][0].fileno(), lambda n=n: turn(n)) for n in range(3)]
    for _, there in pairs:
        there.sendall(b"x")
    until(lambda: len(heard) == 3)
    for _, there in pairs:
        there.sendall(b"x")
    until(lambda: len(heard) >= 5)
    gevent.sleep(0.01)
    assert len(heard) == 5  # of the three one was stopped before its turn
    for reader in readers:
        reader.stop()


def test_a_busy_one_is_busy_until_it_is_not(gathered, monkeypatch):
    monkeypatch.setattr(gathering, "BUSY", 0.05)  # others may want the machine, too

    def works() -> None:
        while not gathered._busy:
            ended = time.thread_time() + 0.005
            while time.thread_time() < ended:
                pass
            gevent.sleep(0.001)

    gevent.spawn(works).get(timeout=WAIT)
    monkeypatch.setattr(gathering, "BUSY", 0.9)
    until(lambda: not gathered._busy)


@pytest.mark.parametrize("how", ["from answers", "from elsewhere"])
def test_what_is_to_be_sent_goes_out_when_all_has_been_read(gathered, pairs, monkeypatch, how):
    monkeypatch.setattr(gathering, "BUSY", -1.0)  # any worker is
    until(lambda: gathered._busy)
    done: list[str] = []
    began, readers = Event(), []

    def reads(n: int) -> None:
        if how == "from answers":
            pairs[n][0].recv(1)
        if how == "from elsewhere" or began.is_set():
            done.append(f"read {n}")
            assert Gathering.later(lambda: done.append(f"sent {n}"))

    if how == "from answers":
        readers += [Reading(pairs[n][0].fileno(), lambda n=n: reads(n)) for n in range(2)]
        for n in range(2):
            pairs[n][1].sendall(b"x")
        until(lambda: len(gathered._turns) == 2)
        began.set()
        for n in range(2):
            pairs[n][1].sendall(b"x")
    else:
        for n in range(2):
            get_hub().loop.run_callback(reads, n)
    until(lambda: len(done) == 4)
    assert [word.split()[0] for word in done] == ["read", "read", "sent", "sent"]
    for reader in readers:
        reader.stop()


def test_a_greenlet_and_a_worker_that_is_not_busy_send_at_once(gathered, monkeypatch):
    monkeypatch.setattr(gathering, "BUSY", 2.0)
    said: list[bool] = []
    get_hub().loop.run_callback(lambda: said.append(Gathering.later(lambda: None)))
    until(lambda: said)
    monkeypatch.setattr(gathering, "BUSY", -1.0)
    until(lambda: gathered._busy)
    said.append(Gathering.later(lambda: None))
    assert said == [False, False]
