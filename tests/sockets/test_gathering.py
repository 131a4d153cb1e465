"""A worker that has much to do looks at its sockets less often; one that has not looks at once."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent import get_hub

from millstream.sockets import gathering
from millstream.sockets.gathering import Gathering

WAIT = 20  # s


@pytest.fixture
def naps(monkeypatch):
    """How long the loop was held, each time."""
    slept: list[float] = []
    monkeypatch.setattr(gathering, "_sleep", slept.append)
    monkeypatch.setattr(gathering, "LOOK", 0.01)
    gathered = Gathering()
    yield slept
    gathered.close()


def quiet(naps) -> bool:
    had = len(naps)
    gevent.sleep(0.05)
    return len(naps) == had


def until(happens) -> None:
    with gevent.Timeout(WAIT):
        while not happens():
            gevent.sleep(0.001)


def test_a_worker_with_little_to_do_does_not_wait(naps):
    until(lambda: quiet(naps))


def test_a_busy_one_waits_until_it_is_not_busy_any_more(naps, monkeypatch):
    monkeypatch.setattr(gathering, "BUSY", 0.05)  # others may want the machine, too

    def works() -> None:
        while not naps:
            ended = time.thread_time() + 0.005
            while time.thread_time() < ended:
                pass
            gevent.sleep(0.001)

    gevent.spawn(works).get(timeout=WAIT)
    assert all(0 < nap <= gathering.PAUSE for nap in naps)
    until(lambda: quiet(naps))


def test_what_is_to_be_sent_goes_out_when_all_has_been_read(naps, monkeypatch):
    monkeypatch.setattr(gathering, "BUSY", -1.0)  # any worker is
    until(lambda: naps)
    done: list[str] = []

    def reads(name: str) -> None:
        done.append(f"read {name}")
        assert Gathering.later(lambda: done.append(f"sent {name}"))

    for name in "ab":
        get_hub().loop.run_callback(reads, name)
    until(lambda: len(done) == 4)
    assert done == ["read a", "read b", "sent a", "sent b"]


def test_a_greenlet_and_a_worker_that_is_not_busy_send_at_once(naps, monkeypatch):
    said: list[bool] = []
    get_hub().loop.run_callback(lambda: said.append(Gathering.later(lambda: None)))
    until(lambda: said)
    monkeypatch.setattr(gathering, "BUSY", -1.0)
    until(lambda: naps)
    said.append(Gathering.later(lambda: None))
    assert said == [False, False]
