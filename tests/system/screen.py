"""A terminal of 100 by 40 characters with a program in it: what a user would see, and the keys a user would press."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.readable import readable

ROWS, COLUMNS = 40, 100
DEADLINE = 60.0  # s
# A sequence that moves the cursor, another one, or a character. links2 draws with no more than these.
PART = re.compile(r"\x1b\[(?P<at>[0-9;]*)H|\x1b(?:\[[?0-9;]*[A-Za-z]|[()].|.)|(?P<char>[^\x1b\r\n])")


class Screen:
    """`with Screen(command, home) as screen:` runs it in a terminal; the program is ended with the block."""

    def __init__(self, command: list[str], home: Path) -> None:
        self._command = command
        self._environ = {**os.environ, "TERM": "xterm", "HOME": str(home), "LANG": "C.UTF-8"}
        self._output = b""

    def __enter__(self) -> Screen:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=slave, stderr=slave, env=self._environ, start_new_session=True
        )
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, words: str) -> str:
        """Until the words stand on the screen; all of it."""
        return self._until(words, _drawn)

    def wait_for_lines(self, words: str) -> str:
        """The same of a program that writes line by line: all that it has written."""
        return self._until(words, lambda output: output.decode("utf-8", "replace"))

    def _until(self, words: str, shown: Callable[[bytes], str]) -> str:
        until = time.monotonic() + DEADLINE
        while words not in (text := shown(self._output)):
            assert readable(self._master, seconds=until - time.monotonic()), f"{words!r} did not come:\n{text}"
            self._output += os.read(self._master, 65536)
        return text


def _drawn(output: bytes) -> str:
    """The screen after all that a program has written. Half a sequence at the end is put right by the next call."""
    lines = [[" "] * COLUMNS for _ in range(ROWS)]
    row = column = 0
    for part in PART.finditer(output.decode("utf-8", "replace")):
        if part["at"] is not None:
            down, _, right = part["at"].partition(";")
            row, column = int(down or 1) - 1, int(right or 1) - 1
        elif part["char"] and row < ROWS and column < COLUMNS:
            lines[row][column] = part["char"]
            column += 1
    return "\n".join("".join(line).rstrip() for line in lines)
