"""Tokens that an upstream sends one by one, each only when the one before has been seen at the other end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

DEADLINE = 60.0  # s


class InTurn(list[str]):
    """For Emulator(tokens): iterating waits for `seen()` before each token but the first."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__(tokens)
        self._turn = threading.Semaphore(1)

    def __iter__(self) -> Iterator[str]:
        for token in super().__iter__():
            if not self._turn.acquire(timeout=DEADLINE):
                return
            yield token

    def seen(self) -> None:
        self._turn.release()
