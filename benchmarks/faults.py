"""What the soak does to the parts: an upstream that fails on request, and trouble for workers and for Redis."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import Counter

from askers import token

from tests.system.clients import until
from tests.system.emulator import DEADLINE, HEAD, Emulator
from tests.system.readable import readable
from tests.system.redis_server import RedisServer
from tests.system.server import Server

KINDS = ("cut", "refuse", "stall")
BRIEFLY, LONG = (0.3, 1.9), (2.2, 4.0)  # s that Redis is frozen
REFUSAL = b"HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Upstream(Emulator):
    """A question is "NUMBER KIND PACE": whole, cut or stall (in mid-answer), or refuse. `times` counts them."""

    def __init__(self, tokens: int) -> None:
        super().__init__([""] * tokens)
        self.times: Counter[int] = Counter()
        self._local = threading.local()

    def _read(self, connection: socket.socket) -> dict | None:
        request = self._local.request = Emulator._read(connection)
        if request:
            with self.changed:
                self.times[int(request["messages"][-1]["content"].split()[0])] += 1
        return request

    def _count(self, **what: object) -> None:
        what.pop("asked", None)  # they would be too many
        super()._count(**what)  # type: ignore[arg-type]

    def _answer(self, connection: socket.socket) -> bool:
        number, kind, pace = self._local.request["messages"][-1]["content"].split()
        if kind == "refuse":
            connection.sendall(REFUSAL)
            return True
        connection.sendall(HEAD)
        for n in range(len(self.tokens)):
            if kind == "cut" and n == len(self.tokens) // 2:
                return False
            if kind == "stall" and n == len(self.tokens) // 2:
                readable(connection, seconds=DEADLINE)  # until it is closed
                return False
            if not self._pause(connection, float(pace)):
                return False
            content = token(int(number), n)
            self._send(connection, {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})
        usage = {"prompt_tokens": 3, "completion_tokens": len(self.tokens), "total_tokens": 3 + len(self.tokens)}
        self._send(connection, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        self._chunk(connection, b"data: [DONE]\n\n")
        connection.sendall(b"0\r\n\r\n")
        return True


class Trouble:
    """One kind after the other, in an order that the seed decides; each is over before the next one begins."""

    def __init__(self, seed: object, troubled: Server, servers: list[Server], redis: RedisServer) -> None:
        self.done: Counter[str] = Counter()
        self.kills: list[float] = []  # when, by the monotonic clock
        self.seen: list[tuple[float, str]] = []  # all that was done, by the same clock
        self._random = random.Random(f"{seed} trouble")
        self._troubled, self._servers, self._redis = troubled, servers, redis
        self._coming: list[str] = []
        self._kinds = {
            "worker killed": self._kill,
            "reload": self.reload,
            "redis killed": self._restart,
            "redis frozen < 2 s": lambda: self._freeze(*BRIEFLY),
            "redis frozen > 2 s": lambda: self._freeze(*LONG),
        }

    def make(self) -> None:
        if not self._coming:
            self._coming = self._random.sample(sorted(self._kinds), len(self._kinds))
        kind = self._coming.pop()
        self._note(f"{kind} …")
        self._kinds[kind]()
        self.done[kind] += 1
        self._note(f"… {kind}: done")
        until(lambda: all(server.get("/readyz")[0] == 200 for server in self._servers))
        until(lambda: len(self._troubled.worker_pids()) == self._troubled.workers)
        self._note(f"all is ready; workers {sorted(self._troubled.worker_pids())}")

    def _note(self, what: str) -> None:
        self.seen.append((time.monotonic(), what))

    def _kill(self) -> None:
        worker = self._random.choice(sorted(self._troubled.worker_pids()))
        self.kills.append(time.monotonic())
        os.kill(worker, signal.SIGKILL)
        self._note(f"killed worker {worker}")

    def reload(self) -> None:
        """Over when the old workers have gone."""
        old = set(self._troubled.worker_pids())
        self._troubled.process.send_signal(signal.SIGHUP)
        until(lambda: not old & set(self._troubled.worker_pids()))

    def _restart(self) -> None:
        self._redis.kill()
        time.sleep(self._random.uniform(0, 3))
        self._redis.start()

    def _freeze(self, least: float, most: float) -> None:
        self._redis.freeze()
        time.sleep(self._random.uniform(least, most))
        self._redis.thaw()
