"""Write rows to a database in the background. It may be slow, locked or unavailable; no stream waits for it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from itertools import islice

import gevent
from gevent.event import Event as Signal
from msgspec import json

from millstream.streams.aside import Aside
from millstream.streams.ends import Row

log = logging.getLogger("millstream")

GATHER = 1.0  # s from the first row to the write; later rows join it
BATCH = 500  # rows of one write
MOST = 10_000  # rows that wait in memory, some 5 MB
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # s before a failed write is retried
GOODBYE = 3.0  # s for the last rows when the worker exits


class Writer:
    """An Ends that writes rows in batches. `write` may block and raise. It is then called again with the same
    rows, so it must not count a row twice. If too many rows wait, the oldest go into the log, one JSON line each."""

    def __init__(self, write: Callable[[list[Row]], None], aside: Aside) -> None:
        self._write = write
        self._aside = aside
        self._rows: deque[Row] = deque()
        self._more = Signal()
        self._greenlet: gevent.Greenlet | None = None
        self._warned = False

    def record(self, row: Row) -> None:
        if len(self._rows) >= MOST:
            _log(self._rows.popleft())
        self._rows.append(row)
        self._more.set()
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def close(self, seconds: float = GOODBYE) -> None:
        """Write the waiting rows, for at most `seconds`; the rest goes into the log."""
        if self._greenlet is not None:
            self._greenlet.kill()  # a running write continues in its thread
            self._greenlet = None
        with gevent.Timeout(seconds, False):
            while self._rows and self._try():
                pass
        while self._rows:
            _log(self._rows.popleft())

    def _run(self) -> None:
        pause = PAUSE
        while True:
            self._more.wait()
            gevent.sleep(GATHER)
            self._more.clear()
            while self._rows:
                if self._try():
                    pause = PAUSE
                else:
                    gevent.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self) -> bool:
        batch = list(islice(self._rows, BATCH))
        try:
            self._aside.run(self._write, batch)
        except Exception as error:
            if not self._warned:
                self._warned = True
                log.warning(
                    "the ledger can't be written now (%s); answers continue, and it will be tried again", error
                )
            return False
        for row in batch:
            # Rows that came meanwhile may have pushed some of the batch out.
            if self._rows and self._rows[0] is row:
                self._rows.popleft()
        if self._warned:
            self._warned = False
            log.warning("the ledger is written again")
        return True


def _log(row: Row) -> None:
    log.error("a row that the ledger could not take: %s", json.encode(row).decode())
