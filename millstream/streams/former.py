"""Find earlier streams by a name, and read them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import gevent

from millstream.errors import Unavailable
from millstream.events import Event
from millstream.stores import Store


class Former:
    """Earlier streams by name. A name is any text that others can't guess; "" is no name. While the store is
    unavailable, names are neither stored nor found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def name(self, name: str, id: str) -> None:
        """Let the stream be found by this name."""
        with suppress(Unavailable, OSError):
            if name:
                self._store.point(name, id)

    def named(self, name: str, *, take: bool = False) -> str | None:
        """Return the id of the last stream with this name. With `take`, remove the name."""
        with suppress(Unavailable, OSError):
            return self._store.pointed(name, take=take) if name else None
        return None

    def release(self, id: str) -> None:
        """Release the stream's claim, so that the same request gets a new answer."""
        with suppress(Unavailable, OSError):
            self._store.release(id)

    def events(self, id: str) -> Iterator[Event]:
        """Yield the stream's logged events so far. Raises NotFound."""
        reader = self._store.reader(id)
        try:
            while batch := reader.read():
                yield from batch
                gevent.sleep(0)  # a log may be long: let other greenlets run
        finally:
            reader.close()
