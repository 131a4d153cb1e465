"""Find sockets that can be read. `select.select` rejects descriptors above 1023, and a process that has run a
thousand tests and asks two hundred questions at once reaches these."""

from __future__ import annotations

import selectors
import socket


def readable(*files: socket.socket | int, seconds: float) -> list[socket.socket | int]:
    """Return the files that can be read or have ended; none if nothing arrives within `seconds`."""
    with selectors.PollSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(max(0.0, seconds))]  # type: ignore[misc]
