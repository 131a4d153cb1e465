"""The models of an upstream, by its own list."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread

from millstream.dialects.models import Model
from millstream.errors import UpstreamError

log = logging.getLogger("millstream")

EVERY = 300.0  # s after which the list is asked for again
SOON = 10.0  # s in which it isn't, whoever asks for an unknown model
PATIENCE = 3.0  # s that the first list is waited for


class Catalogue:
    """Asks when it is needed, once for all who wait. `fetch` gives the list, and raises UpstreamError: a list that
    can't be had is no reason not to answer."""

    def __init__(self, fetch: Callable[[], list[Model]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._asked: float | None = None
        self._asking = False
        self._tried = Event()
        self.models: dict[str, Model] = {}  # of the last list; empty as long as there was none
        self.trouble: UpstreamError | None = None  # why there is none, or no newer one

    def look(self) -> dict[str, Model]:
        """Waits only for the first list, and not for long; one that is old is asked for again meanwhile."""
        age = EVERY if self.models else SOON
        if not self._asking and (self._asked is None or self._clock() - self._asked > age):
            self._asking = True
            Thread(target=self.renew, daemon=True).start()
        self._tried.wait(PATIENCE)
        return self.models

    def renew(self) -> dict[str, Model]:
        """Waits for a list that is no older than SOON."""
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
