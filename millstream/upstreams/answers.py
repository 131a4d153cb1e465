"""The body of an accepted response → batches of events, one for each read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from millstream.errors import UpstreamError
from millstream.events import Event
from millstream.sockets.upstream import Body
from millstream.upstreams.decoder import Decoder
from millstream.wire.sse import Decoder as ServerEvents
from millstream.wire.sse import ServerEvent

WHOLE = 16 << 20  # bytes of an answer that comes unstreamed
GZIP = b"\x1f\x8b"
REST = 5.0  # s that usage and end may take once the answer is whole: no silence of a minute for their sake


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
        return [ServerEvent("document", bytes(self._data)), ServerEvent(data=b"[DONE]")]


class Sniffed:
    """One of the two, whatever the Content-Type says: servers label streams application/json, and errors, which are
    one JSON document, text/event-stream. The first byte tells."""

    def __init__(self) -> None:
        self._source: Payloads | None = None
        self._begun = b""

    def feed(self, data: bytes) -> list[ServerEvent]:
        if self._source is not None:
            return self._source.feed(data)
        data = self._begun + data
        if data == GZIP[: len(data)] or not (text := data.lstrip()):  # white space keeps a connection alive
            self._begun = data[-len(GZIP) :]
            return []
        if data.startswith(GZIP):
            raise ValueError("it is compressed (gzip), although we asked for none and the headers name no coding")
        self._source = Whole() if text.startswith(b"{") else ServerEvents()
        return self._source.feed(data)

    def close(self) -> list[ServerEvent]:
        return self._source.close() if self._source is not None else []


class Flow(list[Event]):
    """An accepted answer: the empty batch that says so, and the way to the rest. Whoever iterates the stream gets it
    all; whoever is in a hurry lets it `pour` before going on."""

    __slots__ = ("_body", "_decoder", "_failure", "_last", "_name", "_over", "_source", "heard")

    def __init__(self, body: Body, source: Payloads, decoder: Decoder, name: str) -> None:
        super().__init__()
        self.heard = False  # something has poured
        self._body = body
        self._source = source
        self._decoder = decoder
        self._name = name
        self._over = False
        self._last: list[Event] = []  # what came with the end, or with the failure
        self._failure: UpstreamError | None = None

    def pour(self, take: Callable[[list[Event]], bool], over: Callable[[BaseException | None], None]) -> bool:
        """From now on calls `take` with each batch from the event loop, where nothing may block, until the answer
        comes to its end or `take` gives False; then it calls `over`, with what `take` raised: iterate on. False where
        that can't be done: iterate on at once."""

        def came(payload: bytes) -> bool:
            batch = self._decode(payload)
            if self._over:
                self._last = batch
                return False
            if not batch:
                return not self._decoder.finished
            self.heard = True
            return take(batch) and not self._decoder.finished

        return self._body.pour(came, over)

    def cease(self) -> None:
        """Pours no more. Idempotent."""
        self._body.cease()

    def batches(self) -> Iterator[list[Event]]:
        """Blocks. What came before an error is given before the error is raised."""
        if self._last:
            yield self._last
        while not self._over:
            try:
                data = self._body.read(REST if self._decoder.finished else None)
            except OSError as error:
                if not self._decoder.finished:
                    raise self._decoder.cut() from error
                batch = self._close([], None)
            except ValueError as error:
                raise self._unreadable(error) from error
            else:
                batch = self._decode(data)
            if batch:
                yield batch
        if self._failure is not None:
            raise self._failure

    def _decode(self, data: bytes) -> list[Event]:
        """The events in what a read brought; b"" is the end."""
        batch: list[Event] = []
        failure = None
        try:
            for event in self._source.feed(data) if data else self._source.close():
                for payload in _payloads(event.data):
                    batch += self._decoder.feed(payload, event.type)
        except UpstreamError as error:
            failure = error
        except ValueError as error:
            failure = self._unreadable(error)
            failure.__cause__ = error
        if failure is not None or self._decoder.done or not data:
            return self._close(batch, failure, cut=not data)
        return batch

    def _close(self, batch: list[Event], failure: UpstreamError | None, cut: bool = False) -> list[Event]:
        """The last batch; after it comes the failure, if there is one."""
        self._over = True
        if failure is not None and cut and failure.code == "upstream_protocol":
            failure = None if self._decoder.finished else self._decoder.cut()  # half an event
        if failure is None:
            try:
                return batch + self._decoder.close()
            except UpstreamError as error:
                failure = error
        self._failure = failure
        return batch

    def _unreadable(self, error: ValueError) -> UpstreamError:
        return UpstreamError(
            "upstream_protocol", f'upstream "{self._name}" sent what can\'t be read: {error}. Ask again.'
        )


def _payloads(data: bytes) -> list[bytes]:
    """Mostly one. Some relays (of GLM, Kimi) put one line end between events: then each line is one."""
    if b"\n" not in data or _is_json(data):
        return [data]
    lines = [line for line in data.split(b"\n") if line.strip()]
    return lines if all(line == b"[DONE]" or _is_json(line) for line in lines) else [data]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def read(body: Body, source: Payloads, decoder: Decoder, name: str) -> Iterator[list[Event]]:
    """Accepted, and all that comes. Blocks."""
    flow = Flow(body, source, decoder, name)
    yield flow
    yield from flow.batches()
