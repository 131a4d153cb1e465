"""A program that answers line by line. One process takes many asks: its start costs more than most of them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.system.server import DEADLINE


class Program:
    """`with Program(command) as program:` An ask is a line of JSON, its answer lines of JSON and an empty one."""

    def __init__(self, *command: str | Path, folder: Path, **environ: str) -> None:
        self._command, self._folder, self._environ = command, folder, environ

    def __enter__(self) -> Program:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={**os.environ, **self._environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=DEADLINE)  # closes its stdin
        assert self._process.returncode == 0, self._command

    def ask(self, *words: Any) -> list[Any]:
        assert self._process.stdin and self._process.stdout
        too_late = threading.Timer(2 * DEADLINE, self._process.kill)
        too_late.start()
        try:
            print(json.dumps(words), file=self._process.stdin, flush=True)
            lines = []
            while (line := self._process.stdout.readline()) != "\n":
                assert line, f"{self._command} has ended"
                lines.append(json.loads(line))
            return lines
        finally:
            too_late.cancel()
