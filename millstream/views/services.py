"""The parts that the views use. application.py puts them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from flask import current_app

from millstream.access import Access
from millstream.errors import Unavailable
from millstream.limits import Limits
from millstream.metrics import Metrics
from millstream.settings import Settings
from millstream.streams import Aside, Streams, Writer
from millstream.upstreams.router import Router
from millstream.usage import Ledger, Sum, Unwritable


@dataclass(frozen=True)
class Services:
    settings: Settings
    streams: Streams
    models: Router
    access: Access
    metrics: Metrics
    limits: Limits
    ledger: Ledger  # blocks: ask it through `aside`
    aside: Aside
    writer: Writer
    change: Callable[[Settings], None]  # apply new settings; if it raises SettingError, nothing has changed

    def sums(self, by: Sequence[str], since: str, caller: str | None) -> list[Sum]:
        """Ask the ledger, off the event loop. Raises Unavailable (store_unavailable)."""
        try:
            return self.aside.run(self.ledger.sums, by, since, caller)
        except Unwritable:
            raise Unavailable("store_unavailable", "The ledger can't be read now; try again.") from None

    def close(self) -> None:
        """Write the last rows and release everything. Call it when the worker exits and its streams have ended."""
        self.streams.close()
        self.limits.close()
        self.metrics.flush()
        self.writer.close()
        self.ledger.close()
        self.aside.close()


def services() -> Services:
    """The services of the application that serves this request."""
    return cast(Services, current_app.extensions["millstream"])
