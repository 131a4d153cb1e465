"""Former streams: found by a name that somebody gave them, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import gevent

from millstream.errors import Unavailable
from millstream.events import Event
from millstream.stores import Store


class Former:
    """Names are any text that others don't guess; "" names nothing. While the store is away none is kept, and none is
    found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def name(self, name: str, id: str) -> None:
        """Let the stream be found by this name."""
        with suppress(Unavailable, OSError):
            if name:
                self._store.point(name, id)

    def named(self, name: str, *, take: bool = False) -> str | None:
        """The id of the stream that was named so last; with `take` it is not found so again."""
        with suppress(Unavailable, OSError):
            return self._store.pointed(name, take=take) if name else None
        return None

    def release(self, id: str) -> None:
        """Whoever asks the same again gets another answer."""
        with suppress(Unavailable, OSError):
            self._store.release(id)

    def events(self, id: str) -> Iterator[Event]:
        """Give all that is logged of the stream so far. Raises NotFound."""
        reader = self._store.reader(id)
        try:
            while batch := reader.read():
                yield from batch
                gevent.sleep(0)  # a log may be long: others have their turn
        finally:
            reader.close()
