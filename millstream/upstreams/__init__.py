"""Who is asked. One file an upstream: decode (pure) above, the connection below; plain blocking iterators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from millstream.events import Call, Event


class Deadlines(Struct, frozen=True):
    """In seconds: to connect, to the first event, between events, for the whole answer."""

    connect: float = 5.0
    first_token: float = 120.0
    silence: float = 60.0
    total: float = 900.0


class Upstream(Protocol):
    """One place that answers. Knows nothing of clients, stores and greenlets. Question and frames pass as they
    come where the call came through a door of its own dialect."""

    name: str
    deadlines: Deadlines

    def stream(self, call: Call) -> Iterator[list[Event]]:
        """Asks, and gives what comes, as it comes.

        Blocks. The first item is [] once the upstream has accepted; then one list for each read, all events
        of it, unnumbered; the last event is `done`. Everything else raises UpstreamError.
        close() on the iterator, and any BaseException thrown into it (GreenletExit), closes the connection.
        """
        ...
