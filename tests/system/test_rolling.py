"""Reloads, one after the other, that nobody notices who has an answer or asks for one."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter

import pytest

from tests.system.clients import in_thread, until
from tests.system.crowd import Crowd
from tests.system.nginx import Nginx
from tests.system.readers import Readers
from tests.system.server import Server
from tests.system.test_ledger import rows_of

pytestmark = pytest.mark.system

RELOADS = 5
STREAMS = 200  # at any time


class Flow:
    """Keeps STREAMS answers running, of up to `longest` seconds: for each that ends another one is asked for."""

    def __init__(self, ports: list[int], longest: float) -> None:
        self.readers = Readers()
        self._ports, self._longest = ports, longest
        self._random = random.Random(1)
        self._stop = threading.Event()

    def run(self) -> None:
        with self.readers as readers:
            while not self._stop.is_set():
                for _ in range(STREAMS - len(readers.running)):
                    seconds = self._random.uniform(self._longest / 2, self._longest)
                    question = f"tokens={int(seconds * 1.5)} every={1 / 1.5:.2f}"
                    readers.ask(self._ports[readers.asked % len(self._ports)], question)
                readers.read_some()
            readers.read_all()

    def stop(self) -> None:
        self._stop.set()


def roll(longest: int) -> Counter[str]:
    """Also by hand: `python -c 'from tests.system import test_rolling as t; print(t.roll(60))'`."""
    limit = longest + 60
    with (
        Crowd() as upstream,
        Server({"emulated": upstream.table}, workers=2, open=1, trusted_proxies=1, graceful_timeout=limit) as server,
        Nginx(server.port) as nginx,
    ):
        flow = Flow([server.port, nginx.port], longest)
        flowing = in_thread(flow.run)
        for _ in range(RELOADS):
            ended = len(flow.readers.ended)
            until(lambda ended=ended: len(flow.readers.ended) > ended + STREAMS / 8 or flowing.done(), limit)
            old = set(server.worker_pids())
            server.process.send_signal(signal.SIGHUP)
            until(lambda old=old: set(server.worker_pids()) - old and not old & set(server.worker_pids()), limit)
        flow.stop()
        flowing.result(limit)
        answers = flow.readers.ended
        for answer in answers:
            answer.check()
        until(lambda: len(rows_of(server)) >= len(answers))
        rows = rows_of(server)
        assert sorted(rows) == sorted(answer.id for answer in answers)
        assert {row["reason"] for row in rows.values()} == {"stop"}
        assert "Traceback" not in server.text()
        return Counter(answer.accept for answer in answers)


def test_five_reloads_under_two_hundred_answers_and_a_steady_load_are_noticed_by_nobody():
    assert roll(4).total() > 2 * STREAMS
