"""The body of an accepted response → batches of events, one for each read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from millstream.errors import UpstreamError
from millstream.events import Event
from millstream.sockets.upstream import Body
from millstream.wire.sse import Decoder as ServerEvents
from millstream.wire.sse import ServerEvent

WHOLE = 16 << 20  # bytes of an answer that comes unstreamed
REST = 5.0  # s that usage and end may take once the answer is whole: no silence of a minute for their sake


class Decoder(Protocol):
    """What an adapter knows of its upstream's payloads. `feed`, `close` and `cut` are as completion.Decoder's."""

    done: bool
    finished: bool

    def feed(self, payload: bytes, type: str = "message") -> list[Event]: ...

    def close(self) -> list[Event]: ...

    def cut(self) -> UpstreamError: ...


class Payloads(Protocol):
    """Bytes → server-sent events. Raises ValueError."""

    def feed(self, data: bytes) -> list[ServerEvent]: ...

    def close(self) -> list[ServerEvent]: ...


class Whole:
    """A body that is one JSON document, of a server that does not stream: one event at the end."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[ServerEvent]:
        self._data += data
        if len(self._data) > WHOLE:
            raise ValueError(f"the answer is longer than {WHOLE} bytes")
        return []

    def close(self) -> list[ServerEvent]:
        return [ServerEvent(data=bytes(self._data)), ServerEvent(data=b"[DONE]")]


def payloads(content_type: str) -> Payloads:
    """By the response's Content-Type; what isn't JSON is taken for an event stream, however it is labelled."""
    return Whole() if content_type.lower().startswith("application/json") else ServerEvents()


def read(body: Body, source: Payloads, decoder: Decoder, name: str) -> Iterator[list[Event]]:
    """Blocks. What came before an error is given before the error is raised."""
    ended = False
    while not (ended or decoder.done):
        try:
            data = body.read(REST if decoder.finished else None)
            events = source.feed(data) if data else source.close()
        except OSError as error:
            if not decoder.finished:
                raise decoder.cut() from error
            data, events = b"", []
        except ValueError as error:
            says = f'upstream "{name}" sent what can\'t be read: {error}. Ask again.'
            raise UpstreamError("upstream_protocol", says) from error
        ended = not data
        batch, failure = _decode(decoder, events)
        if failure is not None and ended and failure.code == "upstream_protocol":
            failure = None if decoder.finished else decoder.cut()  # half an event
        if failure is None and (ended or decoder.done):
            batch, failure = _closed(decoder, batch)
        if batch:
            yield batch
        if failure is not None:
            raise failure


def _decode(decoder: Decoder, events: Iterable[ServerEvent]) -> tuple[list[Event], UpstreamError | None]:
    batch: list[Event] = []
    try:
        for event in events:
            batch += decoder.feed(event.data, event.type)
    except UpstreamError as failure:
        return batch, failure
    return batch, None


def _closed(decoder: Decoder, batch: list[Event]) -> tuple[list[Event], UpstreamError | None]:
    try:
        return batch + decoder.close(), None
    except UpstreamError as failure:
        return batch, failure
