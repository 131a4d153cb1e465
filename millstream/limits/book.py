"""This worker's list of updates for the storage: leases to renew and to end, tokens to count. Nothing is lost
while the storage is unavailable, and no answer waits for it."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic

import gevent
from gevent import Greenlet
from gevent.event import Event

from millstream.limits.storage import Storage

log = logging.getLogger("millstream")

LEASE = 30.0  # s until the places of a killed worker are free
RENEW = 10.0  # s between two renewals
SWEEP = 60.0  # s between two looks for what has expired
AGAIN = 1.0  # s between two tries while the storage is away
DAYS = 2 * 86400  # s that a day's sum is kept
LAST_WORDS = 3.0  # s that a worker which leaves waits for the storage

Ids = dict[str, list[str]]


class Book:
    """The worker's book. Its greenlet starts with the first entry."""

    def __init__(self, storage: Storage) -> None:
        self.held: dict[str, tuple[str, ...]] = {}  # the names that each lease of this worker has a place of
        self._ended: list[tuple[str, tuple[str, ...]]] = []
        self._counts: Counter[str] = Counter()
        self._kept: dict[str, int] = {}  # s that each of them is kept
        self._storage = storage
        self._news = Event()
        self._writer: Greenlet | None = None
        self._renewed = self._swept = monotonic()
        self._trouble = False
        self._closing = False

    def hold(self, id: str, names: Iterable[str]) -> None:
        """A lease that was taken: it is renewed until `end`."""
        self.held[id] = tuple(names)
        self._tell()

    def end(self, id: str, names: Iterable[str] = ()) -> None:
        """End a lease of this worker; with `names`, a lease of a dead worker."""
        if names := self.held.pop(id, tuple(names)):
            self._ended.append((id, tuple(names)))
            self._tell()

    def count(self, key: str, amount: int, seconds: int = DAYS) -> None:
        """Adds to a sum, which is kept for so long."""
        self._counts[key] += amount
        self._kept[key] = seconds
        self._tell()

    def begin(self) -> None:
        """Sweep from now on, also where nothing is to be told."""
        if self._writer is None:
            self._writer = gevent.spawn(self._run)

    def close(self) -> None:
        """Writes what is left, if the storage takes it now."""
        self._closing = True
        if self._writer is not None:
            self._news.set()
            self._writer.join(LAST_WORDS)  # not killed: what it is writing would be lost, or written twice
            self._write()

    def _tell(self) -> None:
        self._news.set()
        self.begin()

    def _run(self) -> None:
        while True:
            self._news.wait(RENEW)
            self._news.clear()
            while not self._write() and not self._closing:
                gevent.sleep(AGAIN)
            if self._closing:
                return

    def _write(self) -> bool:
        """False: the storage is away, and all of it is still to be written."""
        ended, self._ended = self._ended, []
        counts, self._counts = self._counts, Counter()
        now = monotonic()
        renewed = _by_name(self.held.items()) if now - self._renewed >= RENEW else {}
        sweep = now - self._swept >= SWEEP
        if not (ended or counts or renewed or sweep):
            return True
        try:
            self._storage.run(lambda: self._tell_storage(_by_name(ended), counts, renewed, sweep))
        except Exception as error:  # whatever it is: the greenlet has to live on
            self._ended = ended + self._ended
            self._counts += counts
            if not self._trouble:
                log.warning("limits can't be counted at the moment, but will be later: %r", error)
            self._trouble = True
            return False
        self._trouble = False
        self._kept = {key: self._kept[key] for key in self._counts}
        self._renewed = now if renewed or not self.held else self._renewed
        self._swept = now if sweep else self._swept
        return True

    def _tell_storage(
        self,
        ended: Mapping[str, Sequence[str]],
        counts: Counter[str],
        renewed: Mapping[str, Sequence[str]],
        sweep: bool,
    ) -> None:
        with self._storage.atomic():
            if ended:
                self._storage.end(ended)
            for key, amount in counts.items():
                self._storage.incr(key, self._kept[key], amount)
            if renewed:
                self._storage.renew(renewed, LEASE)
            if sweep:
                self._storage.sweep()


def _by_name(leases: Iterable[tuple[str, tuple[str, ...]]]) -> Ids:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for id, names in leases:
        for name in names:
            found[name].append(id)
    return dict(found)
