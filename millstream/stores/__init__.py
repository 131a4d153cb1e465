"""The stores, which keep the logs of streams. One file each; every store passes the same contract tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from millstream.events import Event, Meta

Word = Literal["stop", "join", "leave"]


class StoreLost(Exception):
    """The appended events can't be kept any more, neither on disk nor in memory."""


Then = Callable[[int | StoreLost], None]


class Inbox(Protocol):
    """The port through which a store tells what other workers say. Must not block."""

    def __call__(self, worker: str, id: str, word: Word) -> None: ...


class Reader(Protocol):
    """Reads one stream's log from a place on; cheap to keep, opens nothing until it reads."""

    def read(self, limit: int = 65536) -> list[Event]:
        """The next events, about `limit` bytes of them; [] where there is nothing more yet. Doesn't wait for more.

        Raises NotFound if the stream is gone and nothing of it is left to this reader; Unavailable.
        """
        ...

    def seek(self, position: int) -> None:
        """Continue from a position that `append` returned. Events are never returned twice."""
        ...

    def close(self) -> None:
        """Close the files that are open; a later read opens them again."""
        ...


class Store(Protocol):
    """The logs of all streams of this server, shared by its workers.

    A log is a Meta and then events numbered from 1, the last of them terminal. Exactly one worker owns a
    running stream; only the owner appends. `tell`, `seize`, `release` and `delete` do nothing to an absent stream.

    A store that is reached over a network may be away. Then `append` and `release` are made up for later, `seize` is
    False, `sweep` finds nothing, and all else, Reader.read too, raises Unavailable (store_unavailable)
    where it can't do without. No call takes longer than 2 s; other greenlets may run during each but `watch`'s end.
    """

    worker: str  # this worker's name, unique over all workers and restarts
    belated: float  # s after its return for which owners may still have to add what their own clients have seen

    @property
    def away(self) -> bool:
        """Return True if no stream can start now. Running streams continue, and the store recovers without help."""
        ...

    def start(self, inbox: Inbox) -> None:
        """Begins to listen to other workers; called once, in the worker itself (after a fork)."""
        ...

    def close(self) -> None: ...

    def create(self, meta: Meta) -> Meta:
        """Makes a log, owned by this worker. Atomic over all workers: if `meta.claim` is taken by a log that
        still exists, nothing is made and the older Meta is given."""
        ...

    def meta(self, id: str) -> Meta:
        """Return the stream's Meta. Raises NotFound."""
        ...

    def point(self, name: str, id: str) -> None:
        """Let the name lead to this stream as long as its log exists. It replaces an earlier stream of that name."""
        ...

    def pointed(self, name: str, *, take: bool = False) -> str | None:
        """The id of the stream that the name leads to; with `take` it leads nowhere afterwards."""
        ...

    def append(self, id: str, batch: list[Event], then: Then | None = None) -> int:
        """Adds numbered events in one write and tells waiting workers; the owner only. Events whose number is
        already there are dropped. A terminal event ends the ownership.

        With `then` it never blocks. `then` is called once the batch is logged, at once or later, in the order of the
        batches. It gets the position after the batch, for Reader.seek, or a StoreLost. Without `then`, waits for
        that, gives the position, and raises StoreLost."""
        ...

    def reader(self, id: str, after: int = 0) -> Reader:
        """Reads the events numbered after+1 and on. Raises NotFound."""
        ...

    def watch(self, id: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Watch a stream that another worker owns. `wake` is called when there is news, when the log is gone, and
        when its owner may have died (then try `seize`): at least once each, possibly too often. The owner hears
        "join" now and "leave" when the last watcher of this worker goes. Gives the function that ends the watch."""
        ...

    def seize(self, id: str) -> bool:
        """Take over a stream whose owner is dead and that has no terminal event. Half a line at the end is cut off.
        Return True to exactly one caller, which now owns the stream and must append the terminal event.
        Return False while the owner lives, if another worker was first, or if the stream has ended."""
        ...

    def orphans(self) -> list[str]:
        """The streams of workers that are dead, running and ended ones. May look at every log; other greenlets go
        on meanwhile. Only after `start`."""
        ...

    def release(self, id: str) -> None:
        """Gives the stream's claim back: it failed before its first token."""
        ...

    def delete(self, id: str) -> None:
        """Erases the log and its claim. Readers that are open may read on to what there is. Absent is fine."""
        ...

    def tell(self, id: str, word: Word) -> None:
        """Send a word to the stream's owner. Nothing happens if the owner is dead."""
        ...

    def sweep(self, now: float) -> int:
        """Erases logs (and claims) whose end, or whose last sign where the owner is dead, is `ttl` ago.
        `now` is Unix time in seconds. Gives the number erased."""
        ...


def at_once(append: Callable[[str, list[Event]], int], id: str, batch: list[Event], then: Then | None) -> int:
    """Implement `Store.append` for stores that log without waiting."""
    try:
        position = append(id, batch)
    except StoreLost as error:
        if then is None:
            raise
        then(error)
        return 0
    if then is not None:
        then(position)
    return position
