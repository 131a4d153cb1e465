"""The operator's changes of the settings file while the server runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

from millstream.settings import TABLES, SettingError, Settings, config_path, load, located
from millstream.settings.keys import NUMBERS
from millstream.settings.upstreams import LIMITS

# Settings that a running server applies; all others are read at the start only.
CHANGEABLE = {*TABLES, *LIMITS, *NUMBERS, "requests_per_minute_address", "streams_total", "model", "currency"}
CHANGEABLE |= {"budget", "budget_total", "keep"}
LOOK = 0.5  # s between two looks at the settings file; a change is taken up at the second one that sees it
log = logging.getLogger("millstream")


class Changes:
    """Looks at the file when asked to. `settings` are what the server runs with."""

    def __init__(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._path = config_path(self._environ)
        self._settings = settings
        self._seen = self._mark()
        # Not the file's present mark: it may have changed since `settings` were read, seconds ago on a busy machine.
        self._taken: tuple[int, ...] | None = None
        self.fixed: tuple[str, ...] = ()  # what the last change would have set, and only a new start can

    def follow(self, change: Callable[[Settings], None], say: Callable[..., None] = log.log) -> None:
        """Give `change` what the file says anew, for ever. It may raise SettingError. `say` logs."""
        while True:
            time.sleep(LOOK)
            self.take_up(change, say)

    def take_up(self, change: Callable[[Settings], None], say: Callable[..., None]) -> None:
        """The same once."""
        before = self._settings
        try:
            found = self.look()
            if found is not None:
                change(found)
                say(logging.INFO, "the changed settings are in force")
            if fixed := self.fixed:
                self.fixed = ()
                say(logging.WARNING, "changed settings that need a restart: %s", ", ".join(fixed))
        except SettingError as error:
            say(logging.ERROR, "the changed settings were not applied: %s", located(error, self._path))
        except Exception:  # a watch that ended would let a revoked key in until the next start
            log.exception("the changed settings were not applied; trying again")
            self._settings, self._taken = before, None

    def look(self) -> Settings | None:
        """Return changed settings, or None. A change counts once the file is the same in two looks, because
        editors may write it in pieces. Raises SettingError once for each invalid change."""
        before, self._seen = self._seen, self._mark()
        if self._seen != before or self._seen == self._taken:
            return None
        self._taken = self._seen
        wanted = load(self._environ)
        found = replace(self._settings, **{name: getattr(wanted, name) for name in CHANGEABLE})
        names = (item.name for item in fields(Settings))
        self.fixed = tuple(name for name in names if getattr(found, name) != getattr(wanted, name))
        if found == self._settings:
            return None
        self._settings = found
        return found

    def _mark(self) -> tuple[int, ...]:
        """Return a mark that differs whenever the file was rewritten or replaced."""
        try:
            status = Path(self._path).stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
