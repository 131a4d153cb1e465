"""Clean up after dead workers: end their streams, and report ends that they may not have reported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import time

import gevent

from millstream.errors import MillstreamError, NotFound, Unavailable
from millstream.events import End, Event, Meta
from millstream.settings import Settings
from millstream.settings.prices import cost
from millstream.stores import Store
from millstream.streams.ends import Ends, row
from millstream.streams.history import history

log = logging.getLogger("millstream")


class Orphans:
    """The streams of dead workers. `ends` is told of streams that end here, `missed` of those that had already
    ended."""

    def __init__(self, store: Store, settings: Callable[[], Settings], ends: Ends, missed: Ends | None) -> None:
        self._store = store
        self._settings = settings
        self._ends = ends
        self._missed = missed
        self._known: set[str] = set()

    def recover(self) -> None:
        """Go through all orphans. Blocks only its own greenlet. Raises Unavailable if the store goes away; the next
        call continues at the same place."""
        found = self._store.orphans()
        self._known.intersection_update(found)
        for id in found:
            if id not in self._known:
                try:
                    self._look_after(self._store.meta(id))
                except NotFound:
                    pass  # erased in the meantime
                except Unavailable:
                    raise
                except Exception:  # an error in one stream must not delay the others
                    log.exception("stream %s, of a dead worker, could not be ended", id)
                gevent.sleep(0)

    def _look_after(self, meta: Meta) -> None:
        if self.take_over(meta):
            self._known.add(meta.id)
        elif (end := history(self._store.reader(meta.id)).terminal) is not None:
            self._known.add(meta.id)
            if self._missed is not None:
                self._missed.record(row(meta, end))

    def take_over(self, meta: Meta) -> bool:
        """End the stream if its worker is dead. Return True if the log has something new."""
        if not self._store.seize(meta.id):
            return False
        past = history(self._store.reader(meta.id))
        use, usage = self._settings(), past.tally.usage(meta.prompt)
        price = cost(use.prices, (meta.model,), usage)
        end = End(
            meta.model,
            meta.upstream,
            usage=usage,
            cost=price,
            currency=use.currency if price is not None else None,
            failure=interrupted("The worker that served this answer died.").failure(),
            duration=min(max(0.0, time() - meta.created), use.total),  # nobody knows when the worker died
        )
        event = Event("failed", end=end, n=past.last + 1)
        self._store.append(meta.id, [event])
        self._ends.record(row(meta, event))
        return True


def interrupted(why: str) -> MillstreamError:
    return MillstreamError("interrupted", f"{why} The text so far is kept; ask again for the rest.")
