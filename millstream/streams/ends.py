"""The port for the end of each stream."""

from __future__ import annotations

import logging
from typing import Protocol

from msgspec import Struct

from millstream.events import End, Event, Meta, Usage

log = logging.getLogger("millstream")


class Row(Struct, frozen=True):
    """The facts of a stream at its end. Times in seconds, `created` in Unix time; `cost` a decimal as text."""

    id: str
    caller: str
    api: str
    model: str
    upstream: str
    created: float
    duration: float
    first_token: float | None
    usage: Usage | None
    reason: str  # the finish_reason, or the failure's code
    cost: str | None = None
    currency: str | None = None
    heard: bool = False  # some client was following when it ended


class Ends(Protocol):
    """The port that hears of each stream's end, once."""

    def record(self, row: Row) -> None:
        """Never blocks, never raises."""
        ...


class Several:
    """Tells each of several."""

    def __init__(self, *ends: Ends) -> None:
        self._ends = ends

    def record(self, row: Row) -> None:
        for ends in self._ends:
            try:
                ends.record(row)
            except Exception:  # the others have to hear of it
                log.exception("stream %s: its end could not be counted by %s", row.id, type(ends).__name__)


def row(meta: Meta, event: Event, heard: bool = False) -> Row:
    """Of a stream that ended with this terminal event: the same one, whoever makes it, and however late."""
    end = event.end or End(meta.model, meta.upstream)
    return Row(
        id=meta.id,
        caller=meta.owner,
        api=meta.api,
        model=meta.model,
        upstream=end.upstream or meta.upstream,
        created=meta.created,
        duration=end.duration or 0.0,
        first_token=end.first_token,
        usage=end.usage,
        reason=end.failure.code if end.failure else end.finish_reason or "stop",
        cost=end.cost,
        currency=end.currency,
        heard=heard,
    )
