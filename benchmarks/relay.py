"""A relay: how it is started, asked and ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
from emulation import Upstream
from processes import DEADLINE, OTHER_CORE, RELAY_CORE, TWO_CORES, Process, folder, free_port


@dataclass
class Parts:
    """The commands of a relay. `front` is what clients see in its stead, and asks it at `inner_port`."""

    command: list[str]
    environ: dict[str, str]
    front: list[str] = field(default_factory=list)
    inner_port: int = 0
    store: list[str] = field(default_factory=list)
    store_port: int = 0


Server = Callable[[int, Upstream, Path], Parts]  # gets the port, the upstream and a folder of its own


class Cost(NamedTuple):
    """About how long it takes until a relay answers (s), and to start a stream (ms): for the run's duration."""

    boot: float = 0.5
    start_ms: float = 0.3


NO_COST = Cost()


@dataclass
class Relay:
    """`with relay.running(upstream): …`. Relays with the same `server` differ only in what they are asked."""

    key: str
    name: str
    parts: Server
    path: str = "/chat"
    accept: str = "text/event-stream"
    server: str = ""
    tls: bool = False
    two_cores: bool = False
    cost: Cost = NO_COST

    def __post_init__(self) -> None:
        self.server = self.server or self.key

    @property
    def label(self) -> str:
        """Its name where the upstream differs."""
        return f"{self.name}, TLS upstream" if self.tls else self.name

    @contextmanager
    def running(self, upstream: Upstream) -> Iterator[Running]:
        """Raises RuntimeError if it doesn't start, FileNotFoundError if there is no such program."""
        own = folder(self.key)
        port, started = free_port(), []
        parts = self.parts(port, upstream, own)
        cores = TWO_CORES if self.two_cores else RELAY_CORE

        def start(cores: str, command: list[str], at: int, environ: dict[str, str] | None = None) -> None:
            started.append(Process(cores, command, own, environ))
            started[-1].wait_for(at)

        try:
            if parts.store:
                start(OTHER_CORE, parts.store, parts.store_port)
            store = [pid for process in started for pid in process.pids]
            start(cores, parts.command, parts.inner_port or port, parts.environ)
            if parts.front:
                start(cores, parts.front, port)
            _settle(started)
            pids = [pid for process in started for pid in process.pids if pid not in store]
            yield Running(port, pids, store)
        finally:
            for process in reversed(started):
                process.stop()

    def request(self, tokens: int, every: int) -> bytes:
        """One question, as bytes of HTTP. `every` in microseconds."""
        question = {"role": "user", "content": f"tokens={tokens} every={every} "}
        asked = {"model": "m", "messages": [question], **({} if self.path == "/chat" else {"stream": True})}
        body = json.dumps(asked)
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return f"{head}Accept: {self.accept}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@dataclass
class Running:
    port: int
    pids: list[int]
    store: list[int]  # the pids of its store, if that is a server
    used: bool = False

    def memory(self) -> float:
        """KiB; a page that several processes share counts once (PSS)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids)
        return sum(
            float(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:")
        )


def _settle(processes: list[Process]) -> None:
    """Until workers have been forked and nothing is imported any more: the CPU stands still."""
    before, until = -1.0, time.monotonic() + DEADLINE
    while (now := _cpu(processes)) > before + 0.01 and time.monotonic() < until:
        before = now
        time.sleep(0.2)


def _cpu(processes: list[Process]) -> float:
    taken = 0.0
    for pid in (pid for process in processes for pid in process.pids):
        with suppress(psutil.NoSuchProcess):  # some ask others while they start
            times = psutil.Process(pid).cpu_times()
            taken += times.user + times.system
    return taken
