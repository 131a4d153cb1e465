"""A running stream in the worker that owns it: pumped from its upstream into the log and to its followers.

| state   | what happens                    | next    | logged             |
|---------|---------------------------------|---------|--------------------|
| pending | the upstream accepts            | running | –                  |
| pending | refusal, connect or first token | failed  | failed             |
| both    | the upstream is done            | done    | done               |
| both    | stop                            | done    | done, `cancelled`  |
| running | broken, silent, total limit     | failed  | failed             |
| both    | nobody follows for `grace`      | failed  | failed abandoned   |
| both    | the worker leaves               | failed  | failed interrupted |
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.event import Event as Signal
from gevent.lock import BoundedSemaphore
from msgspec.structs import replace

from millstream.errors import MillstreamError, RequestError, UpstreamError
from millstream.events import TERMINAL, Call, End, Event, Meta, Usage, believable, number
from millstream.settings import Settings
from millstream.settings.prices import cost
from millstream.stores import Store
from millstream.stores.memory import size
from millstream.streams.history import history
from millstream.streams.meter import Meter
from millstream.streams.pump import Pump, lost
from millstream.upstreams import Upstream

if TYPE_CHECKING:
    from millstream.streams.follower import Follower

log = logging.getLogger("millstream")

REFUSALS = ("upstream_refused", "upstream_auth", "upstream_limited", "connect_timeout")


class Ended(Protocol):
    """The port that hears once of each end: of what stream, its terminal event."""

    def __call__(self, live: Live, event: Event) -> None: ...


class Live:
    """One running stream. Its end does not depend on the pump: whoever ends it logs the terminal event first,
    and the pump is then stopped, which closes the upstream's connection."""

    def __init__(
        self, meta: Meta, call: Call, upstream: Upstream, store: Store, ended: Ended, settings: Settings, meter: Meter
    ) -> None:
        self.meta = meta
        self.call = call
        self.upstream = upstream
        self.n = 0
        self._size = 0  # bytes of the answer
        self.started = monotonic()
        self.first: float | None = None  # when the first event came
        self.accepted = False
        self.settled = Signal()  # the upstream has accepted, or the stream has ended
        self.terminal: Event | None = None  # numbered as soon as it is being logged
        self.unlogged: Event | None = None  # the same where the log could not take it
        self._store = store
        self._turn = BoundedSemaphore()  # logging may take a moment: what comes meanwhile comes behind
        self._ended = ended
        self._meter = meter
        self._cancelled: float | None = None  # when nobody wanted the rest any more
        self._heard = self.started  # when the upstream last gave an event
        self._local: set[Follower] = set()
        self._remote: set[str] = set()  # workers with followers of this stream
        self._settings = settings
        self._grace = max(settings.grace_new, call.grace)
        self._alone_since: float | None = self.started
        self._pump = Pump(upstream, call, self, self._closed)

    # -- what the pump brings -----------------------------------------------------------------------------------

    @property
    def pours(self) -> bool:
        return not self._store.waits

    @property
    def over(self) -> bool:
        return self.terminal is not None

    def accept(self) -> None:
        self.accepted = True
        self.settled.set()

    def take(self, events: list[Event]) -> bool:
        """In the event loop, where the log takes it without waiting: so it is always its turn."""
        if self.terminal is not None:
            return False
        self._log(events)
        return True

    def deliver(self, events: list[Event], terminal: Event | None = None) -> None:
        """Logs and passes on. `terminal` is the last of them, if it is."""
        with self._turn:
            if terminal is self.terminal:  # else somebody ended the stream while the pump waited for its turn
                self._log(events)

    def _log(self, events: list[Event]) -> None:
        batch = number(events, self.n)
        self._note(batch)
        # Before it is logged: a pump that is killed meanwhile must leave the right number behind.
        before, self.n = self.n, batch[-1].n
        if self.terminal is not None:
            self.terminal = batch[-1]
        try:
            position = self._store.append(self.meta.id, batch)
        except Exception:
            self.n = before  # what is not logged would leave a gap
            raise
        for follower in tuple(self._local):
            follower.push(position, batch)
        if self._size > self._settings.max_answer and self.terminal is None:
            says = f"The answer is longer than {self._settings.max_answer} bytes. Ask for a shorter one."
            raise UpstreamError("answer_too_long", says)

    def _note(self, batch: list[Event]) -> None:
        heard = monotonic()
        if tokens := len(batch) - (self.terminal is not None):
            self._meter.batch(self.upstream.name, tokens, None if self.first is None else heard - self._heard)
        self._heard = heard
        self._size += sum(map(size, batch))
        if self.first is None and batch[0].type not in TERMINAL:
            self.first = self._heard
            self.accept()

    # -- the end ------------------------------------------------------------------------------------------------

    def end(self, event: Event, before: list[Event] | None = None) -> None:
        """Logs the terminal event, tells everybody, closes the upstream. Once; later calls do nothing."""
        if self.terminal is not None:
            return
        end = self._counted(event.end or self._facts())
        if self.terminal is not None:
            return  # while the log was asked
        self.terminal = event = replace(event, end=end)
        try:
            self.deliver([*(before or []), event], event)
        except Exception as error:  # whatever the log's trouble is, those who listen hear the end
            log.warning("stream %s: its end could not be logged: %r", self.meta.id, error)
            if before:  # they never had these: that is no end which all is well with
                event = Event("failed", end=replace(end, finish_reason=None, failure=lost().failure()))
            self.terminal = self.unlogged = replace(event, n=self.n + 1)
            for follower in tuple(self._local):
                follower.wake()
        self.settled.set()
        self._ended(self, self.terminal)
        self._pump.stop()

    def fail(self, error: MillstreamError) -> None:
        if self.terminal is not None:
            return
        if self.n == 0 and not self.accepted and _unpaid(error):
            try:
                self._store.release(self.meta.id)
            except OSError as trouble:
                log.warning("stream %s: its Idempotency-Key could not be freed: %r", self.meta.id, trouble)
        self.end(Event("failed", end=self._facts(failure=error)))

    def _closed(self) -> None:
        if self._cancelled is not None:
            self._meter.cancelled(self.upstream.name, monotonic() - self._cancelled)

    def stop(self) -> None:
        """What the client asked for is `done`, not a failure."""
        if self.terminal is None:
            self._cancelled = monotonic()
            self.end(Event("done", end=self._facts(finish_reason="cancelled")))

    def _counted(self, end: End) -> End:
        """With what it cost and how long it took."""
        use, usage = self._settings, believable(end.usage)
        # The operator's prices may go by the name that was asked for, or by the one that the upstream says it is.
        price = cost(use.prices, (self._model, end.model), usage)
        return replace(
            end,
            usage=usage,
            cost=price,
            currency=use.currency if price is not None else None,
            first_token=None if self.first is None else round(self.first - self.started, 6),
            duration=round(monotonic() - self.started, 6),
        )

    @property
    def _model(self) -> str:
        """A chain of upstreams may be at one that was asked for another model."""
        return getattr(self.upstream, "model", "") or self.meta.model

    def _facts(self, finish_reason: str | None = None, failure: MillstreamError | None = None) -> End:
        return End(
            model=self._model,
            upstream=self.upstream.name,
            finish_reason=finish_reason,
            usage=self._usage() if self.accepted or self._sent(failure) else None,
            failure=failure.failure(self.upstream.name) if failure else None,
        )

    def _sent(self, failure: MillstreamError | None) -> bool:
        """Whether the upstream may have begun to read the question, and so to be paid for it."""
        return self._pump.asked and not (failure and _unpaid(failure))

    def _usage(self) -> Usage:
        try:
            return history(self._store.reader(self.meta.id)).usage(self.meta.prompt)
        except (MillstreamError, OSError):  # erased by another worker, unreadable, away: mostly an event is a token
            return Usage(self.meta.prompt, self.n, "estimated")

    # -- who follows --------------------------------------------------------------------------------------------

    def join(self, follower: Follower) -> None:
        self._local.add(follower)
        self._grace, self._alone_since = self.call.grace, None

    def leave(self, follower: Follower) -> None:
        self._local.discard(follower)
        self._alone()

    def join_worker(self, worker: str) -> None:
        self._remote.add(worker)
        self._grace, self._alone_since = self.call.grace, None

    def leave_worker(self, worker: str) -> None:
        self._remote.discard(worker)
        self._alone()

    @property
    def followed(self) -> bool:
        return bool(self._local or self._remote)

    def _alone(self) -> None:
        if self.followed or self.terminal is not None:
            return
        self._alone_since = monotonic()
        if self._grace == 0:
            self._abandon()

    def _abandon(self) -> None:
        self._cancelled = monotonic()
        # Leaving is noticed in the event loop, where nothing may block: the rest in a greenlet of its own.
        self._pump.stop()
        gevent.spawn(self.fail, MillstreamError("abandoned", "Nobody was listening any more; ask again."))

    # -- time ---------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Called by the sweeper: ends the stream if one of its limits has passed."""
        if self.terminal is not None:
            return
        limits = self.upstream.deadlines
        name = self.upstream.name
        if self._alone_since is not None and now - self._alone_since >= self._grace:
            self._abandon()
        elif now - self.started >= limits.total:
            self._late("total_timeout", f"{name} was not done after {limits.total:g} s.")
        elif self.first is None and now - self.started >= limits.first_token:
            self._late("first_token_timeout", f"{name} said nothing for {limits.first_token:g} s. Try again.")
        elif self.first is not None and now - self._heard >= limits.silence:
            self._late("silence_timeout", f"{name} fell silent for {limits.silence:g} s in mid-answer.")

    def _late(self, code: str, message: str) -> None:
        self.fail(UpstreamError(code, message))


def _unpaid(error: MillstreamError) -> bool:
    """Whether an upstream that has accepted nothing has refused for certain: then the Idempotency-Key may ask again.
    A question that was sent and got no status (a break, a deadline, nobody listening) may have been paid."""
    return isinstance(error, RequestError) or error.code in REFUSALS or not getattr(error, "paid", True)
