"""Which sockets have something to read. `select.select` takes no descriptor from 1024 on, and a process that has run
a thousand tests and asks two hundred questions at once comes to these."""

from __future__ import annotations

import selectors
import socket


def readable(*files: socket.socket | int, seconds: float) -> list[socket.socket | int]:
    """Those among them that can be read, or have ended; none if nothing comes within so many seconds."""
    with selectors.PollSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(max(0.0, seconds))]  # type: ignore[misc]
