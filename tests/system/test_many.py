"""As many open answers as a worker takes, and clients that read a byte a second."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.system.clients import in_thread, until
from tests.system.crowd import Crowd
from tests.system.nginx import Nginx
from tests.system.readers import Readers, asking
from tests.system.server import DEADLINE, Server
from tests.system.test_ledger import rows_of

pytestmark = pytest.mark.system

FULL = 5000
SLOW, NORMAL = 50, 500
DIRECT, BEHIND_NGINX = 64, 320  # KiB of the kernel's memory for a slow reader, at most


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_five_thousand_open_answers_on_one_worker_and_the_next_one_is_told_when_to_come():
    with (
        Crowd() as upstream,
        # Asking so many takes a busy machine more than a minute: the first may be silent for that long.
        Server({"emulated": upstream.table}, max_streams=FULL, silence=600) as server,
        Readers() as readers,
    ):
        (worker,) = server.worker_pids()
        empty = psutil.Process(worker).memory_info().rss
        readers.ask_all([server.port], FULL, "tokens=3 hold")
        assert not readers.ended
        each = (psutil.Process(worker).memory_info().rss - empty) / FULL / 1024
        descriptors = psutil.Process(worker).num_fds() / FULL
        began = time.monotonic()
        assert server.get("/healthz")[0] == 200
        assert time.monotonic() - began < 5
        assert server.get("/readyz") == (503, b'{"status":"full"}\n')
        connection = server.connect()
        connection.request("POST", "/chat", '{"prompt": "tokens=3"}', {"Content-Type": "application/json"})
        refused = connection.getresponse()
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert json.loads(refused.read())["error"]["code"] == "full"
        connection.close()
        upstream.go()
        readers.read_all()
        for answer in readers.ended:
            answer.check()
        assert len(readers.ended) == FULL
        until(lambda: server.get("/readyz")[0] == 200)
        print(f"for each open answer {each:.1f} KiB, {descriptors:.1f} descriptors")
        assert each < 100
        assert descriptors < 3.1
        assert "Traceback" not in server.text()


# -- readers of a byte a second ---------------------------------------------------------------------------------


class Slow:
    """Clients with small buffers, each reading a byte a second, in a thread."""

    def __init__(self, port: int, count: int, question: str) -> None:
        self._socks = [asking(port, question, "text/event-stream", buffer=4096) for _ in range(count)]
        self.ports = {sock.getsockname()[1] for sock in self._socks}
        self._over = threading.Event()
        self.bytes = 0
        self._reading = in_thread(self._read)

    def _read(self) -> None:
        while not self._over.wait(1):
            for sock in self._socks:
                assert sock.recv(1), "it was cut"
                self.bytes += 1

    def stop(self) -> None:
        self._over.set()
        self._reading.result(DEADLINE)
        for sock in self._socks:
            sock.close()


def kernel_memory() -> Iterator[tuple[int, int, int]]:
    """For each end of a connection its port, the other end's, and KiB that the kernel holds for it: what waits to be
    sent and to be read, and what is set aside for that (skmem in ss(8))."""
    found = subprocess.run(["ss", "-tmnHO", "state", "established"], capture_output=True, text=True, check=True)
    for line in found.stdout.splitlines():
        here, there = (int(end.rpartition(":")[2]) for end in line.split()[2:4])
        fields = dict(re.findall(r"([a-z]+)(\d+)", line.partition("skmem:(")[2]))
        yield here, there, sum(int(fields[name]) for name in ("r", "f", "w", "bl")) // 1024


def test_fifty_readers_of_a_byte_a_second_cost_little_and_harm_nobody():
    with (
        Crowd() as upstream,
        Server({"emulated": upstream.table}, open=1, trusted_proxies=1) as server,
        Nginx(server.port) as nginx,
        Readers() as normal,
    ):
        direct, behind = (Slow(port, SLOW // 2, "tokens=4000 size=250") for port in (server.port, nginx.port))
        normal.ask_all([server.port, nginx.port], NORMAL, "tokens=40 every=0.1")
        normal.read_all()
        for answer in normal.ended:
            answer.check()
        assert len(normal.ended) == NORMAL
        until(lambda: len(rows_of(server)) == SLOW + NORMAL)  # the slow ones' answers are all made, too
        assert direct.bytes and behind.bytes
        ends = list(kernel_memory())
        to_nginx = {there for here, there, _ in ends if here == server.port} - direct.ports
        for_direct = sum(size for here, there, size in ends if here == server.port and there in direct.ports)
        for_nginx = sum(
            size
            for here, there, size in ends
            if here == nginx.port or (here == server.port and there in to_nginx) or here in to_nginx
        )
        print(f"a slow reader: {for_direct / 25:.0f} KiB, through nginx {for_nginx / 25:.0f} KiB")
        assert 0 < for_direct < DIRECT * SLOW / 2
        assert 0 < for_nginx < BEHIND_NGINX * SLOW / 2
        direct.stop()
        behind.stop()
        assert "Traceback" not in server.text()
