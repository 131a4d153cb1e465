"""The life of a stream: start, accepted, follow, stop, drain. Only this package starts greenlets."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Literal

import gevent
from gevent import Greenlet
from gevent.event import Event as Signal
from msgspec.structs import replace

from millstream.errors import MillstreamError, NotFound, RequestError, Unavailable
from millstream.events import TERMINAL, Call, End, Event, Meta
from millstream.settings import Settings
from millstream.sockets.client import Client
from millstream.stores import Store, Word
from millstream.stores.turns import in_turns
from millstream.streams.aside import Aside
from millstream.streams.ends import Ends, Row, Several, row
from millstream.streams.follower import Follower
from millstream.streams.former import Former
from millstream.streams.history import History, history
from millstream.streams.live import Live
from millstream.streams.meter import Meter
from millstream.streams.orphans import Orphans, interrupted
from millstream.streams.writer import Writer
from millstream.upstreams import Upstream
from millstream.upstreams.estimate import prompt_tokens

__all__ = ["Aside", "Ends", "Follower", "Former", "Meter", "Row", "Several", "Streams", "Writer"]

log = logging.getLogger("millstream")

TICK = 0.25  # s between two checks of deadlines and heartbeats
STEP = 500  # streams and followers to check before the event loop gets its turn
LOOK = 0.05  # s between two reads of the log, for an event of another worker
SWEEP = 60.0  # s between two searches for expired logs
AGAIN = 5.0  # s before the next search if the store was unavailable


class Streams:
    """All streams of this worker, and access to those of other workers. One per process; `open` it after a fork.

    `ends` is told of each end once. `missed` is told of ends in workers that died, because a dead worker may not have
    reported them. It may be told twice, so it has to ignore what it already has.
    """

    def __init__(
        self, store: Store, settings: Settings, ends: Ends, meter: Meter | None = None, *, missed: Ends | None = None
    ) -> None:
        self.live: dict[str, Live] = {}
        self.followers: set[Follower] = set()
        self._starting: dict[str, tuple[Signal, list[tuple[str, Word]]]] = {}  # with what others say of it already
        self.former = Former(store)
        self._store = store
        self.settings = settings  # may be replaced: new streams then use the new ones
        self._ends = ends
        self._orphans = Orphans(store, lambda: self.settings, ends, missed)
        self._meter = meter or Meter()
        self._draining = False
        self._greenlets: list[Greenlet] = []

    def open(self) -> None:
        """Start listening to other workers, and start the sweeper."""
        self._store.start(self._hear)
        self._greenlets = [gevent.spawn(self._watch_the_clock), gevent.spawn(self._sweep)]

    def trouble(self) -> Literal["draining", "store_unavailable", "full"] | None:
        """Return the reason why no new stream can start now, or None."""
        if self._draining:
            return "draining"
        if self._store.away:
            return "store_unavailable"
        return "full" if len(self.live) >= self.settings.max_streams else None

    def start(
        self,
        call: Call,
        upstream: Upstream,
        *,
        claim: str | None = None,
        fingerprint: str = "",
        messages: list[dict[str, Any]] | None = None,
        admit: Callable[[str], None] = lambda id: None,
    ) -> Meta:
        """Start a stream, or return the one that `claim` (caller and Idempotency-Key) already has. `messages` are
        stored with it. `admit` gets the id of a new stream and may raise to refuse it. Raises Unavailable (full,
        draining, store_unavailable), RequestError (idempotency_key_reused)."""
        if (trouble := self.trouble()) == "draining":
            raise Unavailable(trouble, "This worker is about to leave. Try again.", retry_after=1)
        if trouble == "store_unavailable":
            raise Unavailable(trouble, "Streams can't be stored at the moment. Try again.", retry_after=2)
        if trouble:
            raise Unavailable(trouble, f"The server is full ({self.settings.max_streams} streams). Try again.")
        call = replace(call, prompt=prompt_tokens(call.question))
        meta = Meta(
            id=secrets.token_urlsafe(16),
            owner=call.caller,
            worker=self._store.worker,
            created=time(),
            model=call.model,
            api=call.api,
            fingerprint=fingerprint,
            claim=claim,
            messages=messages,
            preset=call.preset,
            upstream=upstream.name,
            prompt=call.prompt,
            via=call.via,
            echo=call.echo,
            kept=call.kept,
        )
        if claim is None:
            admit(meta.id)  # before the log exists: refusing is still cheap
        _, early = self._starting[meta.id] = Signal(), []
        try:
            kept = replace(self._store.create(meta), kept=None)  # it is stored now, and may have 20 MiB
            if kept.id == meta.id:
                if claim is not None:  # only the log can tell whether the claim is new
                    self._admit_claimed(meta, admit)
                self.live[meta.id] = Live(kept, call, upstream, self._store, self._ended, self.settings, self._meter)
                self._meter.started(meta, upstream.name)
        finally:
            self._starting.pop(meta.id)[0].set()
        for worker, word in early:
            self._hear(worker, meta.id, word)
        if kept.id != meta.id and kept.fingerprint != fingerprint:
            raise RequestError("idempotency_key_reused", "This key was used for another request. Send a new one.")
        if kept.id in self._starting:
            self._starting[kept.id][0].wait()
        return kept

    def _admit_claimed(self, meta: Meta, admit: Callable[[str], None]) -> None:
        """Ask `admit`, and log a refusal: a client that sent the same request twice may already follow the log."""
        try:
            admit(meta.id)
        except MillstreamError as error:
            self._store.release(meta.id)
            self._store.append(meta.id, [Event("failed", end=End(meta.model, "", failure=error.failure()), n=1)])
            raise

    def accepted(self, id: str, timeout: float) -> None:
        """Wait until the upstream has accepted the question, at most `timeout` seconds. Raises its refusal."""
        live = self.live.get(id)
        if live is None:
            last = self._first(id, timeout)
        else:
            live.settled.wait(timeout)
            last = live.terminal
        if last is not None and last.n == 1 and last.end and last.end.failure:
            raise MillstreamError.of(last.end.failure)

    def _first(self, id: str, timeout: float) -> Event | None:
        """Return the first event of another worker's stream. It polls: a watch would count as a follower."""
        until = monotonic() + timeout
        while (event := self.at(id, 1)) is None and monotonic() < until:
            gevent.sleep(LOOK)
        return event

    def meta(self, id: str, caller: str) -> Meta:
        """Return the stream's Meta. Raises NotFound if the stream does not exist or belongs to another caller."""
        meta = self._store.meta(id)
        if meta.owner != caller:
            raise NotFound
        return meta

    def follow(self, meta: Meta, after: int = 0, peer: Client | None = None) -> Follower:
        """Follow the stream, starting after event `after`. Raises NotFound, or the error of `missing` if the log
        ends before that event."""
        if after and self.at(meta.id, after) is None and (error := self.missing(meta, after=after)):
            raise error
        live = self.live.get(meta.id)
        use = self.settings
        reader = self._store.reader(meta.id, after)
        follower = Follower(meta, after, reader, live, peer, heartbeat=use.heartbeat, slow=use.slow_follower)
        if live is None:
            follower.unwatch = self._store.watch(meta.id, follower.wake)
            follower.orphaned = lambda: self._orphans.take_over(meta)
            if self._draining:
                follower.dismiss()
        self.followers.add(follower)
        follower.gone = self.followers.discard
        return follower

    def at(self, id: str, n: int) -> Event | None:
        """Return the event with this number, or None if the log ends before it."""
        reader = self._store.reader(id, n - 1)
        try:
            return next(iter(reader.read()), None)
        finally:
            reader.close()

    def reach(self, id: str, *, after: int = 0, offset: int = 0) -> None:
        """Wait a moment until the log has this event, or this byte of the text. A client may have seen more than the
        log holds: after an outage of the store, the stream's owner may still be writing."""
        until = monotonic() + self._store.belated
        while monotonic() < until:
            past = self.history(id)
            if past.terminal or past.reaches(after, offset):
                return
            gevent.sleep(LOOK)

    def missing(self, meta: Meta, *, after: int = 0, offset: int = 0) -> MillstreamError | None:
        """Return the error for an event, or a byte of the text, that the log lacks; None if it has it by now."""
        if meta.id not in self.live:
            self._orphans.take_over(meta)
        past = self.history(meta.id)
        return None if past.reaches(after, offset) else past.missing(after, offset)

    def history(self, id: str) -> History:
        """Return the stream's log so far. Raises NotFound."""
        return history(self._store.reader(id))

    def state(self, meta: Meta, last: Event | None) -> Literal["pending", "running", "done", "failed"]:
        """Return the stream's state; `last` is its last known event."""
        if last is not None and last.type in TERMINAL:
            return "done" if last.type == "done" else "failed"
        live = self.live.get(meta.id)
        return "running" if last or (live and live.accepted) else "pending"

    def stop(self, meta: Meta) -> None:
        """Stop the stream. Idempotent; the log stays readable."""
        live = self.live.get(meta.id)
        if live is not None:
            live.stop()
        else:
            self._store.tell(meta.id, "stop")

    def delete(self, meta: Meta) -> None:
        """Stop the stream and erase its log."""
        if meta.id not in self.live:
            self._orphans.take_over(meta)  # if its worker died, report its end now: its log is about to go
        self.stop(meta)
        self._store.delete(meta.id)

    def drain(self) -> None:
        """End this worker's streams as `interrupted`, and disconnect followers of other workers' streams so that they
        resume elsewhere. From now on no stream can start."""
        self._draining = True
        for live in list(self.live.values()):
            live.fail(interrupted("The server is restarting."))
        for follower in list(self.followers):
            if follower.meta.worker != self._store.worker:
                follower.dismiss()

    def close(self) -> None:
        gevent.killall(self._greenlets)
        self._store.close()

    def _hear(self, worker: str, id: str, word: Word) -> None:
        if (live := self.live.get(id)) is None:
            if id in self._starting:
                self._starting[id][1].append((worker, word))
        elif word == "stop":
            live.stop()
        else:
            (live.join if word == "join" else live.leave)(worker)

    def _watch_the_clock(self) -> None:
        while True:
            self._check(monotonic())
            slept = monotonic()
            gevent.sleep(TICK)
            self._meter.tick(monotonic() - slept - TICK, (live.upstream.name for live in self.live.values()))

    def _sweep(self) -> None:
        while True:
            try:
                self._orphans.recover()
                self._store.sweep(time())
            except Unavailable:
                gevent.sleep(AGAIN)
                continue
            except Exception:
                log.exception("expired streams could not be erased; trying again in %g s", SWEEP)
            gevent.sleep(SWEEP)

    def _check(self, now: float) -> None:
        all_: list[Live | Follower] = [*self.live.values(), *self.followers]
        for one in in_turns(all_, STEP):
            try:
                one.check(now)
            except Exception:  # an error in one stream must not stop the sweeper
                log.exception("stream %s could not be checked", one.meta.id)

    def _ended(self, live: Live, event: Event) -> None:
        self.live.pop(live.meta.id, None)
        if (failure := event.end and event.end.failure) and failure.operator:
            log.warning("stream %s: %s (%s)", live.meta.id, failure.operator, failure.code)
        self._ends.record(row(live.meta, event, live.followed))
