"""What stands around a relay, in C and on the other core: the emulated upstream, and the client that measures."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installing import VENV
from processes import DEADLINE, OTHER_CORE, Process, free_port


@dataclass
class Upstream:
    """Where the relays ask: the emulator, or nginx with TLS in front of it. `pids` has both."""

    port: int
    ca_file: str = ""
    pids: list[int] = field(default_factory=list)

    @property
    def scheme(self) -> str:
        return "https" if self.ca_file else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/v1"


class Emulator(Upstream):
    """upstream.c."""

    def __init__(self, folder: Path) -> None:
        super().__init__(free_port())
        self.process = Process(OTHER_CORE, [str(VENV / "upstream"), str(self.port)], folder)
        self.process.wait_for(self.port)
        self.pids = self.process.pids

    def counts(self) -> dict[str, int]:
        """connections and answers so far; how many answers are running."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=DEADLINE) as answer:
            return dict(json.load(answer))


class Load:
    """load.c: the client of one relay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def windows(
        self, port: int, request: bytes, streams: tuple[int, ...], amount: float | str, groups: list[list[int]]
    ) -> Iterator[dict[str, Any]]:
        """What it found in each window, while the streams are open. Raises RuntimeError where it gave up."""
        path = self.folder / "request"
        path.write_bytes(request)
        pids = [",".join(map(str, group)) for group in groups]
        command = ["taskset", "-c", OTHER_CORE, str(VENV / "load"), str(port), str(path), ",".join(map(str, streams))]
        with subprocess.Popen(
            [*command, str(amount), *pids],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin and process.stdout and process.stderr
            try:
                for number in range(len(streams)):
                    if number:
                        process.stdin.write("more\n")
                        process.stdin.flush()
                    line = process.stdout.readline()
                    if not line:
                        raise RuntimeError(process.stderr.read().strip())
                    yield json.loads(line)
            finally:
                process.kill()
