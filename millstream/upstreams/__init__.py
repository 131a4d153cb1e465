"""The upstreams: one file each, with decoding (pure) above and the connection below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from msgspec import Struct

from millstream.dialects.models import Model
from millstream.errors import MillstreamError, RequestError
from millstream.events import Call, Event
from millstream.question import Question


class Deadlines(Struct, frozen=True):
    """In seconds: to connect, to the first event, between events, for the whole answer."""

    connect: float = 5.0
    first_token: float = 120.0
    silence: float = 60.0
    total: float = 900.0


class Sink(Protocol):
    """Where an answer goes. Nothing here blocks or raises."""

    def batch(self, events: list[Event]) -> None:
        """All events of one read, unnumbered."""
        ...

    def over(self, end: Event | MillstreamError, before: Sequence[Event] = ()) -> None:
        """Once: the event `done` or what went wrong, and the events that came with it."""
        ...


class Pushed(Protocol):
    """An answer that its upstream has accepted."""

    def begin(self, sink: Sink) -> None:
        """Start to call the sink from the event loop, perhaps before this returns."""
        ...

    def close(self) -> None:
        """Nothing is called any more, and the connection is closed, or in its pool if the answer was whole. From
        anywhere, at any time; never blocks; idempotent."""
        ...


class Answer(Pushed, Protocol):
    """Instead of begun it can be iterated: that blocks, gives a list for each read, the last event is `done`, and
    everything else raises UpstreamError."""

    def __iter__(self) -> Iterator[list[Event]]: ...


class Blocking:
    """An answer that can only be iterated: `streams.bridge` begins it. `close` must not wait for the iteration."""

    def __init__(self, batches: Iterator[list[Event]], close: Callable[[], None] = lambda: None) -> None:
        self._batches = batches
        self.close = close

    def __iter__(self) -> Iterator[list[Event]]:
        return self._batches


class Upstream(Protocol):
    """One place that answers. Knows nothing of clients, stores and greenlets. Question and frames pass as they
    come where the call came through a door of its own dialect."""

    name: str
    deadlines: Deadlines

    def ask(self, call: Call) -> Answer | Blocking:
        """Blocks until the upstream has accepted the question. Raises MillstreamError. Any BaseException thrown into
        it (GreenletExit) closes the connection."""
        ...

    def again(self, error: MillstreamError, heard: bool) -> MillstreamError | None:
        """For an accepted answer that failed: None where `ask` is to be called once more, else what is to be told.
        `heard`: something of it had come."""
        ...

    def stream(self, call: Call) -> Iterator[list[Event]]: ...


def questioned(call: Call) -> Question:
    """Raises RequestError (model_not_found) for another JSON call."""
    if call.path:
        says = f"{call.model[:100]!r} has no {call.path} here; ask another model."
        raise RequestError("model_not_found", says, "model")
    return call.question


class Plain:
    """An upstream that is asked once."""

    lists = False  # whether its server says which models it has

    def listed(self) -> list[Model]:
        """The models that it says it has. Raises UpstreamError."""
        return []

    def again(self, error: MillstreamError, heard: bool) -> MillstreamError | None:
        return error

    def known(self, model: str) -> Model:
        """Describe one of its models without asking the server."""
        return Model(model)

    def stream(self: Upstream, call: Call) -> Iterator[list[Event]]:
        """For whoever iterates, as the doctor does: [] where one has accepted, then the answer. Blocks."""
        while True:
            answer, heard = self.ask(call), False
            try:
                with closing(answer):
                    yield []
                    for batch in answer:
                        heard = True
                        yield batch
                return
            except MillstreamError as error:
                told = self.again(error, heard)
            if told is not None:
                try:
                    raise told
                finally:
                    del told  # its traceback holds this frame
