"""Two servers, nginx and Redis under a steady load, while one thing in a hundred fails:

    .venv/bin/python benchmarks/soak.py [--minutes 10] [--tokens 40] [--seed N]

Nothing may be lost, come twice or be asked twice; each answer has its row in the ledger; memory and descriptors stay.
Prints what it saw; the exit status is 1 if anything was wrong. Needs what `scripts/test` has installed.
"""

from __future__ import annotations

import argparse
import random
import re
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from askers import Asker, formats  # noqa: E402
from faults import KINDS, Trouble, Upstream  # noqa: E402
from story import Finding, tell  # noqa: E402
from verdict import wrong  # noqa: E402

from tests.system.clients import until  # noqa: E402
from tests.system.nginx import Nginx  # noqa: E402
from tests.system.redis_server import RedisServer  # noqa: E402
from tests.system.server import Server  # noqa: E402

RATE = 0.01
AT_ONCE = 40
TOKENS = 40
MORE_MEMORY = 0.1  # of what a server had after the warm-up
MORE_DESCRIPTORS = 10


@dataclass(frozen=True)
class Size:
    """Of one server at rest."""

    memory: int  # bytes, its own: what it shares with others changes with their number
    descriptors: int  # but connections and files that wait for the next question: as many as were asked at once
    kinds: Counter[str]  # of descriptors

    @classmethod
    def of(cls, server: Server, upstream: int) -> Size:
        """Once it does not change any more. `upstream` is a port."""
        sizes: list[Size] = []
        while len(sizes) < 20 and (len(sizes) < 3 or len({size.descriptors for size in sizes[-3:]}) > 1):
            time.sleep(0.5)
            found = [psutil.Process(pid) for pid in (server.process.pid, *server.worker_pids())]
            connections = [where for one in found for where in one.net_connections() if where.raddr]
            waiting = sum(where.raddr[1:] == (upstream,) for where in connections)
            kinds = Counter(kind for one in found for kind in kinds_of(one.pid))
            spare = sum(count for kind, count in kinds.items() if kind.endswith(".spare"))
            descriptors = sum(one.num_fds() for one in found) - waiting - spare
            sizes.append(cls(sum(one.memory_full_info().uss for one in found), descriptors, kinds))
        return sizes[-1]


def kinds_of(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            yield re.sub(r"\d+", "N", str(descriptor.readlink()))


class Load:
    """AT_ONCE clients, each with one question after the other; after each hundred answers there is trouble."""

    def __init__(self, seed: object, doors: list[int], trouble: Trouble, tokens: int) -> None:
        self.askers: list[Asker] = []
        self.found: list[Finding] = []
        self._seed, self._doors, self._trouble, self._tokens = seed, doors, trouble, tokens
        self._random = random.Random(f"{seed} questions")
        self._lock = threading.Lock()
        self._begun = 0
        self._due = 0

    def run(self, seconds: float) -> None:
        """Asks for so long; returns when the last answer has ended."""
        self._until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        while time.monotonic() < self._until:
            if len(self.askers) >= self._due + 1 / RATE:
                self._due = len(self.askers)
                self._trouble.make()
            time.sleep(0.05)
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        while time.monotonic() < self._until:
            with self._lock:
                self._begun += 1
                kind = self._random.choice(KINDS) if self._random.random() < RATE else "whole"
                asker = Asker(self._seed, self._begun, self._doors, RATE, self._tokens, kind)
            try:
                asker.run().check()
            except Exception as error:
                self.found.append(Finding(f"{type(error).__name__}: {error}", asker))
            self.askers.append(asker)


def soak(seconds: float, seed: object, tokens: int) -> list[Finding]:
    """Says what it does, and gives what was wrong."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(aof=True))
        upstream = stack.enter_context(Upstream(tokens))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millstream-soak-")))
        tables = {"emulated": {**upstream.table, "silence": 5}}
        shared = {"store": redis.url, "database": f"sqlite:///{folder}/usage.db", "ttl": 300}
        troubled, spared = (
            stack.enter_context(Server(tables, workers=workers, open=1, trusted_proxies=1, **shared))
            for workers in (2, 1)
        )
        both = f"server 127.0.0.1:{troubled.port}; server 127.0.0.1:{spared.port};"
        nginx = stack.enter_context(Nginx(troubled.port, times={f"server 127.0.0.1:{troubled.port};": both}))
        until(lambda: all(server.get("/readyz")[0] == 200 for server in (troubled, spared)))
        trouble = Trouble(seed, troubled, [troubled, spared], redis)
        load = Load(seed, [troubled.port, spared.port, nginx.port], trouble, tokens)
        warm_up = seconds / 3  # the C library gives nothing back of what the busiest moment took
        load.run(warm_up)
        before = Size.of(spared, upstream.port)
        load.run(seconds - warm_up)
        after = Size.of(spared, upstream.port)
        found = load.found + wrong(load.askers, folder / "usage.db", upstream, trouble)
        if after.memory > before.memory * (1 + MORE_MEMORY):
            found.append(Finding("memory grows"))
        if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
            found.append(Finding(f"descriptors grow: {after.kinds - before.kinds}"))
        for server in (troubled, spared):
            if "Traceback" in (text := server.text()):
                found.append(Finding("a traceback: " + text[text.index("Traceback") :][:4000]))
        say(load.askers, trouble, before, after)
        tell(found, trouble, redis, [server.text() for server in (troubled, spared)])
        return found


def say(askers: list[Asker], trouble: Trouble, before: Size, after: Size) -> None:
    def listed(counted: Counter[str]) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))

    print(f"{len(askers)} answers: {listed(formats(askers))}")
    print(f"ended: {listed(Counter(asker.status or 'whole' for asker in askers))}")
    kinds = Counter(asker.kind for asker in askers if asker.kind != "whole")
    print(f"connections cut: {sum(asker.cuts for asker in askers)}; upstream: {listed(kinds)}")
    print(f"trouble: {listed(trouble.done)}")
    sizes = [f"{size.memory / 2**20:.1f} MiB and {size.descriptors} descriptors" for size in (before, after)]
    print(f"the server that was spared, at rest: {sizes[0]} after the warm-up, {sizes[1]} at the end")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument(
        "--tokens", type=int, default=TOKENS, help="of an answer, which takes as long with any number"
    )
    arguments.add_argument("--seed", default=secrets.token_hex(4))
    given = arguments.parse_args()
    print(f"seed {given.seed}", flush=True)
    found = soak(given.minutes * 60, given.seed, given.tokens)
    print(f"{len(found)} things wrong" if found else "nothing lost, nothing twice, one row each")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
