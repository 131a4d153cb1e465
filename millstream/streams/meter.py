"""The port for metrics of running streams."""

from __future__ import annotations

from collections.abc import Iterable

from millstream.events import Meta


class Meter:
    """The port that is told of everything but the end, which goes to `Ends`. This class ignores all calls.

    Implementations must not block or raise. `batch` is called for every read of every upstream, so keep it cheap.
    """

    def started(self, meta: Meta, upstream: str) -> None:
        """Count a new stream. Streams found by an Idempotency-Key don't count."""

    def batch(self, upstream: str, events: int, gap: float | None) -> None:
        """Count a read with this number of events, `gap` s after the read before; None for the first read."""

    def cancelled(self, upstream: str, seconds: float) -> None:
        """Count an upstream that was closed `seconds` after a stop, or after the last follower left."""

    def tick(self, late: float, running: Iterable[str]) -> None:
        """Note how late the event loop is, in seconds, and the upstreams of the running streams. Four times a
        second."""
