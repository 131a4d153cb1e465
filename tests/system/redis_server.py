"""A real Redis of its own on a free port, for as long as the block lasts."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time

from redis import AuthenticationError, ConnectionError, Redis

from tests.system.nginx import free_port

DEADLINE = 30.0  # s


class RedisServer:
    """`with RedisServer() as redis:` serves at redis.url; keeps nothing on disk, unless `aof`: then each write is
    there before it is answered. After `kill`, as kill -9, `start` goes on with what was kept. `options` are
    redis-server's."""

    def __init__(self, *options: str, aof: bool = False) -> None:
        self._options = [*options, *(["--appendonly", "yes", "--appendfsync", "always"] if aof else [])]

    def __enter__(self) -> RedisServer:
        self.folder = tempfile.mkdtemp(prefix="millstream-redis-")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()
        return self

    def start(self) -> None:
        given = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --save  --appendonly no".split(" ")
        self.process = subprocess.Popen(["redis-server", *given, *self._options], stdout=subprocess.DEVNULL)
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
