"""A running stream, in the worker that owns it. Events of the upstream go into the log, then to the followers.

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
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from gevent.event import Event as Signal
from msgspec.structs import replace

from millstream.errors import MillstreamError, RequestError, UpstreamError
from millstream.events import TERMINAL, Call, End, Event, Meta, believable, number
from millstream.settings import Settings
from millstream.settings.prices import cost
from millstream.stores import Store, StoreLost
from millstream.stores.memory import size_of
from millstream.streams.asker import Asker
from millstream.streams.history import Tally
from millstream.streams.meter import Meter
from millstream.upstreams import Upstream

if TYPE_CHECKING:
    from millstream.streams.follower import Follower

log = logging.getLogger("millstream")

LOST = MillstreamError("lost", "The log of this answer can't be written any more. Ask again.")
REFUSALS = ("upstream_refused", "upstream_auth", "upstream_limited", "connect_timeout")


class Live:
    """One running stream: the sink of its upstream's answer.

    No method blocks, so any greenlet and the event loop may call them. A stream can end without its upstream: `end`
    closes the upstream and logs the terminal event.
    """

    def __init__(
        self,
        meta: Meta,
        call: Call,
        upstream: Upstream,
        store: Store,
        ended: Callable[[Live, Event], None],
        settings: Settings,
        meter: Meter,
    ) -> None:
        """`ended` is called once, with the terminal event."""
        self.meta = meta
        self.upstream = upstream
        self.n = 0
        self._size = 0  # bytes of the answer
        self.started = monotonic()
        self.first: float | None = None  # when the first event arrived
        self.accepted = False
        self.settled = Signal()  # set when the upstream has accepted, or the stream has ended
        self.terminal: Event | None = None  # it gets its number when it is sent to the log
        self.unlogged: Event | None = None  # the same event, if the log could not take it
        self._store = store
        self._last = 0  # the number of the last event that is logged
        self._tally = Tally()
        self._ended = ended
        self._meter = meter
        self._cancelled: float | None = None  # when it was stopped, or its last follower left
        self._heard = self.started  # when the upstream last gave an event
        # Followers here, and names of workers that have some. A list: an empty set is four times as large.
        self._following: list[Follower | str] = []
        self._settings = settings
        self._later_grace = call.grace
        self._grace = max(settings.grace_new, call.grace)
        self._alone_since: float | None = self.started
        self._asker = Asker(upstream, call, self)

    # -- from the upstream -----------------------------------------------------------------------------------

    def accept(self) -> None:
        self.accepted = True
        self.settled.set()

    def batch(self, events: list[Event]) -> None:
        """Log the events of one read from the upstream. Followers get them once they are logged."""
        if self.terminal is not None:
            return
        self._note(events)
        self._append(number(events, self.n))
        if self._size > self._settings.max_answer:
            says = f"The answer is longer than {self._settings.max_answer} bytes. Ask for a shorter one."
            self.fail(UpstreamError("answer_too_long", says))

    def over(self, end: Event | MillstreamError, before: Sequence[Event] = ()) -> None:
        if isinstance(end, Event):
            self.end(end, before)
            return
        if before:
            self.batch(list(before))
        if self.terminal is None and (told := self._asker.again(end)):
            self.fail(told)

    def _note(self, events: Sequence[Event]) -> None:
        heard = monotonic()
        self._meter.batch(self.upstream.name, len(events), None if self.first is None else heard - self._heard)
        self._heard = heard
        self._size += size_of(events)
        self._tally.add(events)
        if self.first is None:
            self.first = heard
            self._asker.heard()
            self.accept()

    def _append(self, batch: list[Event]) -> None:
        before, self.n = self.n, batch[-1].n
        try:
            self._store.append(self.meta.id, batch, partial(self._logged, batch))
        except Exception as error:  # whatever is wrong with the log, followers must get an end
            log.exception("stream %s could not be logged", self.meta.id)
            self.n = before  # the batch was not logged: a gap in the numbers would mislead clients
            self._logged(batch, StoreLost(str(error)))

    def _logged(self, batch: list[Event], position: int | StoreLost) -> None:
        """Pass a logged batch on to the followers. Called for each batch, in the order of the log."""
        if isinstance(position, StoreLost):
            self._lose(position)
            return
        self._last = batch[-1].n
        for follower in self._here():
            try:
                follower.push(position, batch)
            except Exception:  # an error of one client must not reach the others
                log.exception("stream %s could not be passed on to a client", self.meta.id)
                follower.leave()
        if batch[-1].type in TERMINAL:
            self._finish(batch[-1])

    def _lose(self, why: StoreLost) -> None:
        """Give followers an end although the log is lost."""
        if self.terminal is None:
            self.fail(LOST)
        elif self.unlogged is None:
            log.warning("stream %s: its end could not be logged: %s", self.meta.id, why)
            event = self.terminal
            if event.n > self._last + 1 and event.end:  # events before it are missing, so it can't end well
                event = Event("failed", end=replace(event.end, finish_reason=None, failure=LOST.failure()))
            self.terminal = self.unlogged = replace(event, n=self._last + 1)
            for follower in self._here():
                follower.wake()
            self._finish(self.terminal)

    # -- the end ------------------------------------------------------------------------------------------------

    def end(self, event: Event, before: Sequence[Event] = ()) -> None:
        """Close the upstream, log the terminal event and tell all followers. Only the first call has an effect."""
        if self.terminal is not None:
            return
        if before:
            self._note(before)
        self.terminal = replace(event, end=self._counted(event.end or self._facts()), n=self.n + len(before) + 1)
        self._asker.close()
        if self._cancelled is not None:
            self._meter.cancelled(self.upstream.name, monotonic() - self._cancelled)
        self._append([*number(list(before), self.n), self.terminal])

    def _finish(self, event: Event) -> None:
        self.settled.set()
        self._ended(self, event)

    def fail(self, error: MillstreamError) -> None:
        if self.terminal is not None:
            return
        if self.n == 0 and not self.accepted and _unpaid(error):
            try:
                self._store.release(self.meta.id)
            except OSError as trouble:
                log.warning("stream %s: its Idempotency-Key could not be freed: %r", self.meta.id, trouble)
        self.end(Event("failed", end=self._facts(failure=error)))

    def stop(self) -> None:
        """Stop the stream. The client asked for it, so it ends with `done`."""
        if self.terminal is None:
            self._cancelled = monotonic()
            self.end(Event("done", end=self._facts(finish_reason="cancelled")))

    def _counted(self, end: End) -> End:
        """Add cost and duration to the end."""
        use, usage = self._settings, believable(end.usage)
        # Prices may be set for the requested model name, or for the name that the upstream reports.
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
        """Return the model's name at the current upstream. A fallback may use another name."""
        return getattr(self.upstream, "model", "") or self.meta.model

    def _facts(self, finish_reason: str | None = None, failure: MillstreamError | None = None) -> End:
        return End(
            model=self._model,
            upstream=self.upstream.name,
            finish_reason=finish_reason,
            usage=self._tally.usage(self.meta.prompt) if self.accepted or self._sent(failure) else None,
            failure=failure.failure(self.upstream.name) if failure else None,
        )

    def _sent(self, failure: MillstreamError | None) -> bool:
        """Return True if the upstream may have begun to read the question, and so may bill it."""
        return self._asker.asked and not (failure and _unpaid(failure))

    # -- who follows --------------------------------------------------------------------------------------------

    def join(self, who: Follower | str) -> None:
        """A follower here, or the name of a worker that has some."""
        if who not in self._following:
            self._following.append(who)
        self._grace, self._alone_since = self._later_grace, None

    @property
    def followed(self) -> bool:
        return bool(self._following)

    def _here(self) -> list[Follower]:
        return [one for one in self._following if not isinstance(one, str)]

    def leave(self, who: Follower | str) -> None:
        if who in self._following:
            self._following.remove(who)
        if self.followed or self.terminal is not None:
            return
        self._alone_since = monotonic()
        if self._grace == 0:
            self._abandon()

    def _abandon(self) -> None:
        self._cancelled = monotonic()
        self.fail(MillstreamError("abandoned", "All clients had left; ask again."))

    # -- time ---------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """End the stream if one of its time limits has passed. The sweeper calls this."""
        if self.terminal is not None:
            return
        limits = self.upstream.deadlines
        name = self.upstream.name
        if self._alone_since is not None and now - self._alone_since >= self._grace:
            self._abandon()
        elif now - self.started >= limits.total:
            self._late("total_timeout", f"{name} did not finish within {limits.total:g} s.")
        elif self.first is None and now - self.started >= limits.first_token:
            self._late("first_token_timeout", f"{name} said nothing for {limits.first_token:g} s. Try again.")
        elif self.first is not None and now - self._heard >= limits.silence:
            self._late("silence_timeout", f"{name} fell silent for {limits.silence:g} s in mid-answer.")

    def _late(self, code: str, message: str) -> None:
        self.fail(UpstreamError(code, message))


def _unpaid(error: MillstreamError) -> bool:
    """Return True if the upstream certainly refused, so that a retry with the same Idempotency-Key may ask again.
    A question that was sent but got no status (broken, timed out, abandoned) may have been billed."""
    return isinstance(error, RequestError) or error.code in REFUSALS or not getattr(error, "paid", True)
