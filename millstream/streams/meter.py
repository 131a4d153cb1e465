"""The port for the operator's figures of running streams."""

from __future__ import annotations

from collections.abc import Iterable

from millstream.events import Meta


class Meter:
    """The port that hears of everything but the end (that is `Ends`). This one does nothing. No other may block or
    raise, and `batch` is called for every read of every upstream: it has to cost next to nothing."""

    def started(self, meta: Meta, upstream: str) -> None:
        """A new stream, not one that an Idempotency-Key has found."""

    def batch(self, upstream: str, events: int, gap: float | None) -> None:
        """One read brought so many events, `gap` s after the one before it; None: it was the first."""

    def cancelled(self, upstream: str, seconds: float) -> None:
        """The upstream was closed so long after a stop, or after the last follower left."""

    def tick(self, late: float, running: Iterable[str]) -> None:
        """Four times a second: how late the event loop is, in seconds; the upstreams of the streams that run."""
