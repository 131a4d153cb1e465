"""Metrics for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/

docs/metrics.md lists them. Under gunicorn each worker counts in its own files, in the directory
PROMETHEUS_MULTIPROC_DIR. The worker that answers /metrics adds them up. Labels never take a name that a client or an
upstream invented: names that the settings don't know become "other".
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter as Numbers
from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from millstream.errors import CODES
from millstream.events import Meta
from millstream.settings import Settings
from millstream.streams import Row
from millstream.streams.meter import Meter

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
ANYONE = "anyone"  # the caller's name where there are no keys
LATE = ("first_token_timeout", "silence_timeout", "total_timeout")  # raised by the sweeper, not the connection
FINISHED = ("stop", "length", "tool_calls", "function_call", "content_filter", "cancelled")

WAITS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)  # s to a first token
GAPS = (0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2, 5, 15, 30, 60)  # s
DURATIONS = (0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800)  # s
LATENCIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # s


class _Seen:
    """Values for a histogram to observe at the next tick. They wait as plain numbers, which is ten times faster."""

    __slots__ = ("buckets", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0


class _Pace(_Seen):
    """The reads of one upstream since the last tick. They are collected here because every token causes one."""

    __slots__ = ("events", "reads")

    def __init__(self) -> None:
        super().__init__(GAPS)
        self.events = self.reads = 0


class Metrics(Meter):
    """Count for this worker. Implements two ports: Meter for running streams, and Ends. `knows` says whether a
    model's name may become a label."""

    def __init__(self, settings: Settings, models: Iterable[str] = ()) -> None:
        self.take(settings, frozenset(models).__contains__)
        self._sums: dict[tuple[Counter | Gauge, tuple[str, ...]], int] = {}  # since the last tick
        self._paces: dict[str, _Pace] = {}
        self._seen_since: dict[tuple[Histogram, tuple[str, ...]], _Seen] = {}
        self._seen: set[str] = set()
        self.registry = CollectorRegistry()
        way, upstream = ("format", "transport"), ("upstream",)
        self._started = self._counter("streams_started", "Streams begun.", *way, *upstream)
        self._running = self._gauge("streams_running", "Streams whose upstream is being read now.", *upstream)
        self._open = self._gauge("responses_open", "Streamed responses that are open now.", *way)
        self._ended = self._counter("streams_ended", "Streams ended, by finish_reason or code.", "reason", *upstream)
        self._resumed = self._counter("resumes", "Clients that came back to a stream where they had left it.", *way)
        self._stepdowns = self._counter("step_downs", "Clients that fell back to a simpler transport.", "from", "to")
        self._first = self._histogram(
            "first_token_seconds", "From the question to the first event.", WAITS, *upstream
        )
        self._gap = self._histogram("gap_seconds", "Between two reads that brought events.", GAPS, *upstream)
        self._events = self._counter("events", "Events that upstreams sent (about one a token).", *upstream)
        self._bursts = self._counter("burst_events", "Events that came together with the one before.", *upstream)
        self._duration = self._histogram("duration_seconds", "Of whole streams.", DURATIONS, *upstream)
        self._tokens = self._counter(
            "tokens", "Tokens, as reported by upstreams or estimated.", "model", "key", "kind"
        )
        self._failures = self._counter(
            "upstream_errors", "Errors of upstreams, including those that a retry hid.", "code", *upstream
        )
        self._cancels = self._histogram(
            "cancel_seconds", "From a stop to the upstream's close.", LATENCIES, *upstream
        )
        self._refused = self._counter("refused", "Requests answered with an error, limits among them.", "code")
        self._lag = self._histogram("loop_lag_seconds", "How late the event loop wakes.", LATENCIES)

    def take(self, settings: Settings, knows: Callable[[str], bool]) -> None:
        """Apply new names of keys and models."""
        self.knows = knows
        self._keys = frozenset({ANYONE, *(key.name for key in settings.keys)})

    # -- called by the views ----------------------------------------------------------------------------------------

    def opened(self, format: str, transport: str) -> None:
        self._add(self._open, 1, format, transport)

    def closed(self, format: str, transport: str) -> None:
        self._add(self._open, -1, format, transport)

    def resumed(self, format: str, transport: str) -> None:
        self._resumed.labels(format, transport).inc()

    def stepped_down(self, left: str, taken: str) -> None:
        self._stepdowns.labels(left, taken).inc()

    def refused(self, code: str) -> None:
        self._refused.labels(code if code in CODES else OTHER).inc()

    def failed(self, upstream: str, code: str) -> None:
        """Count an upstream's error, even if a retry or a fallback hides it from the client."""
        self._failures.labels(code if code in CODES else OTHER, upstream).inc()

    # -- Meter ------------------------------------------------------------------------------------------------------

    def started(self, meta: Meta, upstream: str) -> None:
        self._add(self._started, 1, *meta.via, upstream)

    def batch(self, upstream: str, events: int, gap: float | None) -> None:
        pace = self._paces.get(upstream)
        if pace is None:
            pace = self._paces[upstream] = _Pace()
        pace.events += events
        pace.reads += 1
        if gap is not None:
            pace.buckets[bisect_left(GAPS, gap)] += 1
            pace.sum += gap

    def cancelled(self, upstream: str, seconds: float) -> None:
        self._cancels.labels(upstream).observe(seconds)

    def tick(self, late: float, running: Iterable[str]) -> None:
        self._lag.observe(max(0.0, late))
        numbers = Numbers(running)
        self._seen.update(numbers)
        for name in self._seen:  # also those without a running stream
            self._running.labels(name).set(numbers[name])
        self.flush()

    def flush(self) -> None:
        """Give the counts since the last tick to Prometheus."""
        paces, self._paces = self._paces, {}
        for upstream, pace in paces.items():
            self._add(self._events, pace.events, upstream)
            self._add(self._bursts, pace.events - pace.reads, upstream)
            self._seen_since[self._gap, (upstream,)] = pace
        sums, self._sums = self._sums, {}
        for (metric, labels), amount in sums.items():
            metric.labels(*labels).inc(amount)
        seen, self._seen_since = self._seen_since, {}
        for (histogram, labels), found in seen.items():
            child = histogram.labels(*labels)
            # observe() for many values at once, which has no public call. A test compares the result with observe().
            child._sum.inc(found.sum)
            for bucket, count in zip(child._buckets, found.buckets, strict=True):
                if count:
                    bucket.inc(count)

    def _add(self, metric: Counter | Gauge, amount: int, *labels: str) -> None:
        key = (metric, labels)
        self._sums[key] = self._sums.get(key, 0) + amount

    def _observe(self, histogram: Histogram, bounds: tuple[float, ...], value: float, *labels: str) -> None:
        seen = self._seen_since.get((histogram, labels))
        if seen is None:
            seen = self._seen_since[histogram, labels] = _Seen(bounds)
        seen.buckets[bisect_left(bounds, value)] += 1
        seen.sum += value

    # -- Ends -------------------------------------------------------------------------------------------------------

    def record(self, row: Row) -> None:
        upstream = row.upstream or OTHER
        known = row.reason in FINISHED or row.reason in CODES
        self._add(self._ended, 1, row.reason if known else OTHER, upstream)
        self._observe(self._duration, DURATIONS, row.duration, upstream)
        if row.first_token is not None:
            self._observe(self._first, WAITS, row.first_token, upstream)
        if row.reason in LATE:
            self.failed(upstream, row.reason)
        if row.usage is not None:
            model, key = self._model(row.model), row.caller if row.caller in self._keys else OTHER
            self._add(self._tokens, row.usage.input, model, key, "prompt")
            self._add(self._tokens, row.usage.output, model, key, "completion")

    def _model(self, name: str) -> str:
        """Return the model's name as the settings know it; the demo's name may carry parameters."""
        name = name if self.knows(name) else name.partition("?")[0]
        return name if self.knows(name) else OTHER

    # -- read by the operator ---------------------------------------------------------------------------------------

    def text(self) -> bytes:
        """Return the metrics of all workers in the text format; CONTENT_TYPE is its type."""
        self.flush()
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return prometheus_client.generate_latest(registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"millstream_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"millstream_{name}", says, labels, registry=self.registry, multiprocess_mode="livesum")

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"millstream_{name}", says, labels, buckets=buckets, registry=self.registry)
