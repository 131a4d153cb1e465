"""What is told of each stream when it has ended, and to whom."""

from __future__ import annotations

from time import monotonic, time
from typing import Protocol

from msgspec import Struct

from millstream.events import End, Event, Meta, Usage
from millstream.streams.history import History
from millstream.streams.live import Live


class Row(Struct, frozen=True):
    """What is known of a stream at its end. Times in seconds, `created` in Unix time."""

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
            ends.record(row)


def of_live(live: Live, event: Event) -> Row:
    """Of a stream that ended here with this terminal event."""
    end = event.end or End(live.meta.model, live.upstream.name)
    return Row(
        id=live.meta.id,
        caller=live.meta.owner,
        api=live.meta.api,
        model=live.meta.model,
        created=live.meta.created,
        upstream=end.upstream,
        duration=monotonic() - live.started,
        first_token=None if live.first is None else live.first - live.started,
        usage=end.usage,
        reason=end.failure.code if end.failure else end.finish_reason or "stop",
    )


def of_dead(meta: Meta, past: History) -> Row:
    """Of a stream whose worker died: what its log tells."""
    return Row(
        id=meta.id,
        caller=meta.owner,
        api=meta.api,
        model=meta.model,
        created=meta.created,
        upstream="",
        duration=time() - meta.created,
        first_token=None,
        usage=past.usage(meta.messages or []),
        reason="interrupted",
    )
