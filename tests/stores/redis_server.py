"""A real Redis of the tests' own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis

DEADLINE = 30.0  # s


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """`with RedisServer() as server:` listens on server.port. With `aof` each write is on the disk before its answer.

    `freeze` and `thaw` stop and continue it; `kill` is kill -9, after which `start` goes on with what was kept."""

    def __init__(self, *options: str, aof: bool = False, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> None:
        self._options = [*options, *(("--appendonly", "yes", "--appendfsync", "always") if aof else ())]
        self._prefix = prefix
        self.host = host
        self.port = free_port()

    def __enter__(self) -> RedisServer:
        self.folder = Path(tempfile.mkdtemp(prefix="millstream-redis-"))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, "redis-server", "--port", str(self.port), "--bind", self.host, "--save", "",
                 "--dir", str(self.folder), *self._options],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        until = time.monotonic() + DEADLINE
        while not self._answers():
            assert time.monotonic() < until and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        if self._prefix:  # in a network of its own, which its caller looks after
            return "Ready to accept connections" in (self.folder / "log").read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(host=self.host, port=self.port, socket_timeout=DEADLINE)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
