"""One client's view of a stream: first what the log has, then what comes, at the client's own pace."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from gevent.event import Event as Signal

from millstream.errors import MillstreamError, NotFound, RequestError, Unavailable
from millstream.events import TERMINAL, Event, Meta
from millstream.sockets.client import Client
from millstream.stores import Reader
from millstream.streams.live import Live

MOST = 64  # events that may wait for a client; a slower one reads on from the log


def _nothing(*_: object) -> None:
    pass


def _no(*_: object) -> bool:
    return False


class Follower:
    """`take` gives one batch of events after the other, at last the terminal event, or None after `leave` or
    `dismiss`. Until it has left, it counts as somebody who listens.

    Where this worker owns the stream, batches that are logged are pushed to it: straight to its client while it
    sleeps, else they wait here for it. Who lags reads on from the log, so that it never holds the stream up.
    Elsewhere `watch` wakes it to read the log, and `orphaned` is tried where there is no news: it takes over a dead
    worker's stream.
    """

    def __init__(
        self,
        meta: Meta,
        after: int,
        reader: Reader,
        live: Live | None,
        peer: Client | None,
        heartbeat: float,
        slow: float,
    ) -> None:
        self.meta = meta
        self.after = after
        self.unwatch: Callable[[], None] = _nothing
        self.orphaned: Callable[[], bool] = _no
        self.gone: Callable[[Follower], None] = _nothing
        self.write: Callable[[list[Event]], bool] = _no
        self._reader = reader
        self._live = live
        self._peer = peer
        self._heartbeat = heartbeat
        self._slow = slow
        self._signal = Signal()
        self._next: list[Event] = []  # pushed, and not given yet; they follow on `after`
        self._position = 0  # the log's behind them
        self._behind = True  # the log has to be read first
        self._stalled = False  # the store is away: the log is tried again and again
        self._dismissed = False
        self._erased = False
        self._left = False
        self._parked = False
        self._beat = False
        self._wrote = monotonic()  # when the client last took something
        self._unsent: int | None = None
        if live is not None:
            live.join(self)
            self._behind = live.n != after  # else the log has nothing more: all that comes now is pushed

    def take(self, timeout: float | None = None) -> list[Event] | None:
        """The next events; blocks. [] after `timeout` seconds, or when a heartbeat is due; None after `leave`,
        or when the log was erased."""
        self._wrote = monotonic()
        until = None if timeout is None else self._wrote + timeout
        while not self._left:
            try:
                batch = self._coming() or self._unlogged()
                if not batch and self._live is None and self.orphaned():
                    continue
                self._stalled = False
            except NotFound:  # erased under us
                self._erased = True
                self.leave()
                return None
            except Unavailable:
                batch, self._stalled = [], True
            if batch:
                self.after = batch[-1].n
                return batch
            if self._dismissed:
                self.leave()
                return None
            if not self._park(None if until is None else max(0, until - monotonic())):
                return [] if not self._left else None
        return None

    def ready(self) -> list[Event]:
        """Return what was pushed already, without waiting."""
        batch = [] if self._behind or self._left else self._pushed()
        if batch:
            self.after = batch[-1].n
        return batch

    def _coming(self) -> list[Event]:
        return (not self._behind and self._pushed()) or self._from_log()

    def _pushed(self) -> list[Event]:
        """Return the pushed batch that comes next. If something is missing before it, the log has to be read."""
        batch = [event for event in self._next if event.n > self.after]
        if batch and batch[0].n != self.after + 1:
            self._behind = True
            return []
        self._next = []
        if batch:
            self._reader.seek(self._position)
        return batch

    def _from_log(self) -> list[Event]:
        if not self._behind:
            return []
        while read := self._reader.read():
            if batch := [event for event in read if event.n > self.after]:
                return batch
        if self._live is None:
            return []
        self._behind = False  # all that comes now is pushed: no descriptor is held for it
        self._reader.close()
        return self._pushed()

    def _unlogged(self) -> list[Event]:
        """The end of a stream whose log could not be written."""
        end = self._live.unlogged if self._live else None
        return [end] if end and end.n > self.after else []

    def _park(self, timeout: float | None) -> bool:
        """Waits for news. False: there is none, and something else is due."""
        self._parked = True
        woken = self._signal.wait(timeout)
        self._parked = False
        self._signal.clear()
        beat, self._beat = self._beat, False
        return woken and not beat and not self._left

    # -- called by others, from any greenlet and from the event loop; none of them blocks -----------------------

    def push(self, position: int, batch: list[Event]) -> None:
        """Take a batch that has been logged; `position` is the log's position after it."""
        ready = self._parked and not (self._behind or self._next) and batch[0].n == self.after + 1
        if ready and batch[-1].type not in TERMINAL and self.write(batch):
            self.after = batch[-1].n
            self._wrote = monotonic()
            self._reader.seek(position)
            return
        if self._next and (len(self._next) > MOST or batch[0].n != self._next[-1].n + 1):
            self._next, self._behind = [], True
        self._next, self._position = self._next + batch, position
        self._signal.set()

    def wake(self) -> None:
        self._signal.set()

    def nudge(self) -> None:
        """Has it give [] at once: its client did not take all that was written."""
        self._beat = True
        self._signal.set()

    def dismiss(self) -> None:
        """Ends it without a terminal event once it has given what is logged: the client goes on elsewhere."""
        self._dismissed = True
        self._signal.set()

    def unfinished(self) -> MillstreamError:
        """Why there is no whole answer, for a client that waits for it and for nothing else."""
        if self._erased:
            return NotFound()
        if self._dismissed:  # the stream runs on another worker
            return Unavailable("draining", "This worker must stop before the answer is complete. Try again.", 1)
        says = "The client closed its side of the connection too early, which ends the answer. Keep it open."
        return RequestError("bad_request", says)

    def leave(self) -> None:
        """The client has gone, or wants no more. Idempotent."""
        if self._left:
            return
        self._left = True
        self._signal.set()
        self._reader.close()
        self.unwatch()
        self.gone(self)
        # Leave no reference cycle: it would keep a question of 8 MiB until the garbage collector runs.
        self.unwatch, self.orphaned, self.gone, self.write = _nothing, _no, _nothing, _no
        if self._live is not None:
            self._live.leave(self)

    def check(self, now: float) -> None:
        """Called by the sweeper: a heartbeat where it is silent, another try where the store was away, the end for a
        client that takes nothing."""
        if self._left:  # its client may be asking something else by now
            return
        if self._parked:
            if now - self._wrote >= self._heartbeat:
                self._beat = True
            if self._beat or self._stalled:
                self._signal.set()
            return
        unsent = self._peer.unsent() if self._peer else None
        if unsent != self._unsent:
            self._unsent, self._wrote = unsent, now
        elif unsent != 0 and now - self._wrote >= self._slow and self._peer:
            self._peer.cut()
