"""A worker that has much to do looks at its sockets less often; one that has not looks at once."""

from __future__ import annotations

import time

import gevent
import pytest

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
