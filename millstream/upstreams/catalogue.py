"""The list of models that an upstream publishes, cached."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread

from millstream.dialects.models import Model
from millstream.errors import UpstreamError

log = logging.getLogger("millstream")

EVERY = 300.0  # s until the list is fetched again
SOON = 10.0  # s between two fetches at least, even for unknown models
PATIENCE = 3.0  # s to wait for the first list


class Catalogue:
    """Fetches the list on demand, once for all who wait. `fetch` returns the list or raises UpstreamError. Questions
    are still answered if the list can't be fetched."""

    def __init__(self, fetch: Callable[[], list[Model]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._asked: float | None = None
        self._asking = False
        self._tried = Event()
        self.models: dict[str, Model] = {}  # from the last list; empty before the first
        self.trouble: UpstreamError | None = None  # why the last fetch failed

    def look(self) -> dict[str, Model]:
        """Return the list. Wait only for the first one, at most PATIENCE seconds; an old one is renewed meanwhile."""
        age = EVERY if self.models else SOON
        if not self._asking and (self._asked is None or self._clock() - self._asked > age):
            self._asking = True
            Thread(target=self.renew, daemon=True).start()
        self._tried.wait(PATIENCE)
        return self.models

    def renew(self) -> dict[str, Model]:
        """Return a list that is no older than SOON; may wait for it."""
        with self._lock:
            if self._asked is None or self._clock() - self._asked > SOON:
                try:
                    self.models = {model.id: model for model in self._fetch()}
                    self.trouble = None
                except UpstreamError as error:
                    if self.trouble is None:
                        log.warning("The list of models could not be fetched: %s", error.message)
                    self.trouble = error
                finally:
                    self._asked = self._clock()
                    self._asking = False
                    self._tried.set()
        return self.models
