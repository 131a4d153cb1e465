"""The port for the end of each stream."""

from __future__ import annotations

import logging
from typing import Protocol

from msgspec import Struct

from millstream.events import End, Event, Meta, Usage

log = logging.getLogger("millstream")


class Row(Struct, frozen=True):
    """The facts of a stream at its end. Times are in seconds, `created` in Unix time; `cost` is a decimal as text."""

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
    heard: bool = False  # a client was following when the stream ended


class Ends(Protocol):
    """The port that is told of each stream's end, once."""

    def record(self, row: Row) -> None:
        """Take the facts of a stream that has ended. Never blocks, never raises."""
        ...


class Several:
    """Passes each end on to several ports."""

    def __init__(self, *ends: Ends) -> None:
        self._ends = ends

    def record(self, row: Row) -> None:
        for ends in self._ends:
            try:
                ends.record(row)
            except Exception:  # the other ports must still be told
                log.exception("stream %s: its end could not be counted by %s", row.id, type(ends).__name__)


def row(meta: Meta, event: Event, heard: bool = False) -> Row:
    """Return the row of a stream that ended with this event. Every worker computes the same row at any later time."""
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
