"""The upstreams: the servers that answer questions. One file each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from msgspec import Struct

from millstream.dialects.models import Model
from millstream.errors import MillstreamError, RequestError
from millstream.events import Call, Event
from millstream.question import Question
from millstream.settings import UpstreamSettings


class Deadlines(Struct, frozen=True):
    """Time limits in seconds: to connect, to the first event, between events, for the whole answer."""

    connect: float = 5.0
    first_token: float = 120.0
    silence: float = 60.0
    total: float = 900.0


class Sink(Protocol):
    """The receiver of an answer. Its methods never block or raise."""

    def batch(self, events: list[Event]) -> None:
        """Take all events of one read, unnumbered."""
        ...

    def over(self, end: Event | MillstreamError, before: Sequence[Event] = ()) -> None:
        """End the answer, once: with `done` or an error, after the events of the last read."""
        ...


class Pushed(Protocol):
    """An answer that its upstream has accepted."""

    def begin(self, sink: Sink) -> None:
        """Start calling the sink from the event loop, possibly before this method returns."""
        ...

    def close(self) -> None:
        """Stop calling the sink. Close the connection, or return it to the pool if the answer was complete. Any
        greenlet may call this at any time. Never blocks; idempotent."""
        ...


class Answer(Pushed, Protocol):
    """An answer that can also be iterated. The iterator blocks and yields a list for each read. The last event is
    `done`; any other end raises UpstreamError."""

    def __iter__(self) -> Iterator[list[Event]]: ...


class Blocking:
    """An answer that can only be iterated; `streams.bridge` runs it. `close` must not wait for the iterator."""

    def __init__(self, batches: Iterator[list[Event]], close: Callable[[], None] = lambda: None) -> None:
        self._batches = batches
        self.close = close

    def __iter__(self) -> Iterator[list[Event]]:
        return self._batches


class Upstream(Protocol):
    """One server that answers questions. It knows nothing of clients, stores and greenlets. If the client speaks the
    upstream's dialect, question and frames are passed on unchanged."""

    name: str
    deadlines: Deadlines

    def ask(self, call: Call) -> Answer | Blocking:
        """Ask, and block until the upstream has accepted the question. Raises MillstreamError. A BaseException thrown
        into it, such as GreenletExit, closes the connection."""
        ...

    def again(self, error: MillstreamError, heard: bool) -> MillstreamError | None:
        """Decide what to do about an accepted answer that failed. Return None to call `ask` again, otherwise the
        error to report. `heard` says whether events of the answer had arrived."""
        ...

    def stream(self, call: Call) -> Iterator[list[Event]]: ...


def questioned(call: Call) -> Question:
    """Return the call's question. Raises RequestError (model_not_found) for any other JSON call."""
    if call.path:
        says = f"{call.model[:100]!r} has no {call.path} here; ask another model."
        raise RequestError("model_not_found", says, "model")
    return call.question


class Plain:
    """An upstream that is asked once."""

    def again(self, error: MillstreamError, heard: bool) -> MillstreamError | None:
        return error

    def stream(self: Upstream, call: Call) -> Iterator[list[Event]]:
        """Iterate over the answer, as the doctor does: first [], when the upstream has accepted. Blocks."""
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


class Configured(Plain):
    """One `[upstreams.NAME]`."""

    lists = False  # whether its server lists its models

    def __init__(self, settings: UpstreamSettings) -> None:
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)

    def ask(self, call: Call) -> Answer | Blocking:
        raise NotImplementedError

    def listed(self) -> list[Model]:
        """Return the models that the server lists. Raises UpstreamError."""
        return []

    def known(self, model: str) -> Model:
        """Describe one of its models without asking the server."""
        return Model(model)
