"""One client's view of a stream: first the log, then new events, at the client's speed."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from gevent.event import Event as Signal

from millstream.errors import MillstreamError, NotFound, RequestError, Unavailable
from millstream.events import TERMINAL, Event, Meta
from millstream.sockets.client import Client
from millstream.stores import Reader
from millstream.streams.live import Live

MOST = 64  # events that may wait for a client; a slower client continues from the log


def _nothing(*_: object) -> None:
    pass


def _no(*_: object) -> bool:
    return False


class Follower:
    """One client's position in a stream. `take` returns batches of events, the terminal event last.

    It ends early, with None, after `leave` or `dismiss`. Until `leave`, the stream has a follower and `grace` does
    not run.

    If this worker owns the stream, logged batches are pushed: straight to the client while its greenlet sleeps,
    otherwise into a short queue. A slow client continues from the log, so it never slows down the stream.

    If another worker owns the stream, `watch` wakes the greenlet to read the log. Without news it tries `orphaned`,
    which takes over the stream of a dead worker.
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
        self._next: list[Event] = []  # pushed but not yet returned; they follow event `after`
        self._position = 0  # the log's position after them
        self._behind = True  # the log has to be read before pushed events
        self._stalled = False  # the store is unavailable: keep trying to read the log
        self._dismissed = False
        self._erased = False
        self.left = False
        self._parked = False
        self._beat = False
        self._wrote = monotonic()  # when the client last received something
        self._unsent: int | None = None
        if live is not None:
            live.join(self)
            self._behind = live.n != after  # otherwise the log has nothing new, and all later events are pushed

    def take(self, timeout: float | None = None) -> list[Event] | None:
        """Return the next events; blocks. Return [] after `timeout` seconds or when a heartbeat is due, and None
        after `leave` or when the log was erased."""
        self._wrote = monotonic()
        until = None if timeout is None else self._wrote + timeout
        while not self.left:
            try:
                batch = self._coming() or self._unlogged()
                if not batch and self._live is None and self.orphaned():
                    continue
                self._stalled = False
            except NotFound:  # erased while we were reading
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
                return [] if not self.left else None
        return None

    def ready(self) -> list[Event]:
        """Return the pushed events without waiting."""
        batch = [] if self._behind or self.left else self._pushed()
        if batch:
            self.after = batch[-1].n
        return batch

    def _coming(self) -> list[Event]:
        return (not self._behind and self._pushed()) or self._from_log()

    def _pushed(self) -> list[Event]:
        """Return the next pushed batch. If events before it are missing, the log has to be read first."""
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
        self._behind = False  # all later events are pushed, so the log's descriptor can be closed
        self._reader.close()
        return self._pushed()

    def _unlogged(self) -> list[Event]:
        """Return the end of a stream whose log could not be written."""
        end = self._live.unlogged if self._live else None
        return [end] if end and end.n > self.after else []

    def _park(self, timeout: float | None) -> bool:
        """Wait for news. Return False if there is none and a heartbeat or a retry is due."""
        self._parked = True
        woken = self._signal.wait(timeout)
        self._parked = False
        self._signal.clear()
        beat, self._beat = self._beat, False
        return woken and not beat and not self.left

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
        """Make `take` return [] at once, because the client did not take all bytes."""
        self._beat = True
        self._signal.set()

    def dismiss(self) -> None:
        """End it after the logged events, without a terminal event. The client then resumes on another worker."""
        self._dismissed = True
        self._signal.set()

    def unfinished(self) -> MillstreamError:
        """Return the error for a client that waits for the whole answer and can't get it here."""
        if self._erased:
            return NotFound()
        if self._dismissed:  # the stream runs on another worker
            return Unavailable("draining", "This worker must stop before the answer is complete. Try again.", 1)
        says = "The client closed its side of the connection too early, which ends the answer. Keep it open."
        return RequestError("bad_request", says)

    def leave(self) -> None:
        """End it, because the client has gone or wants no more. Idempotent."""
        if self.left:
            return
        self.left = True
        self._signal.set()
        self._reader.close()
        self.unwatch()
        self.gone(self)
        # Leave no reference cycle: it would keep a question of 8 MiB until the garbage collector runs.
        self.unwatch, self.orphaned, self.gone, self.write = _nothing, _no, _nothing, _no
        if self._live is not None:
            self._live.leave(self)

    def check(self, now: float) -> None:
        """Do what is due; the sweeper calls this. Wake for a heartbeat, retry an unavailable store, or drop a client
        that takes no bytes."""
        if self.left:  # the client's connection may already serve another request
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
