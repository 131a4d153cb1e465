"""A worker in a process of its own: told what to do by lines on its stdin, answers by lines on its stdout."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from gevent.socket import wait_read

from tests.stores.samples import DEADLINE

ROOT = Path(__file__).resolve().parents[2]


class OtherWorker:
    """The test's end. Waiting for an answer lets this process's greenlets run."""

    def __init__(self, store: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.stores.other_worker", store],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            **options,
        )
        self._heard = b""
        self.name = self.hear()

    def ask(self, *words: object) -> str:
        self.say(*words)
        return self.hear()

    def say(self, *words: object) -> None:
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())

    def hear(self) -> str:
        """The next line."""
        while b"\n" not in self._heard:
            fd = self.process.stdout.fileno()
            wait_read(fd, timeout=DEADLINE)
            said = os.read(fd, 65536)
            assert said, f"the other worker is gone, after {self._heard!r}"
            self._heard += said
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def kill(self) -> None:
        """As kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _serve(url: str) -> None:
    import gevent
    from gevent.fileobject import FileObjectThread

    from millstream.stores.table import open_store
    from tests.stores import samples

    store = open_store(url, ttl=samples.TTL, workers=2)
    ends: dict[str, Any] = {}

    def create(id: str) -> str:
        return store.create(samples.meta(store, id)).id

    def append(id: str, n: str, text: str = "token ") -> int:
        return store.append(id, [samples.message(int(n), text)])

    def end(id: str, n: str) -> int:
        return store.append(id, [samples.done(int(n))])

    def watch(id: str) -> str:
        ends[id] = store.watch(id, lambda: print("woken", id, flush=True))
        return "watching"

    def unwatch(id: str) -> str:
        ends.pop(id)()
        return "unwatched"

    def seize(id: str, greenlets: str = "1") -> int:
        """How many of so many greenlets got it."""
        tries = [gevent.spawn(store.seize, id) for _ in range(int(greenlets))]
        gevent.joinall(tries)
        return sum(each.value for each in tries)

    def read(id: str) -> str:
        return "".join(event.text or event.type for event in samples.log(store, id))

    def claim(count: str) -> int:
        """How many of so many claims were free. Other workers may be trying the same."""
        mine = [samples.meta(store, secrets.token_urlsafe(16), claim=f"key {n}") for n in range(int(count))]
        return sum(store.create(each) is each for each in mine)

    def sweep(now: str) -> int:
        return store.sweep(float(now))

    def limit(size: str) -> str:
        """Files can't grow beyond so many bytes: a disk that is full. -1 for all there is."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
        return "limited"

    words = {f.__name__: f for f in (create, append, end, watch, unwatch, seize, read, claim, sweep, limit)}
    store.start(lambda worker, id, word: print("told", worker, id, word, flush=True))
    print(store.worker, flush=True)
    for line in FileObjectThread(sys.stdin):
        word, *rest = line.split()
        try:
            print(words[word](*rest), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)


if __name__ == "__main__":
    from millstream.patching import patch

    patch()
    _serve(sys.argv[1])
