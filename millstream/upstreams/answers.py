"""Turn the body of an accepted response into batches of events, one for each read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol

import msgspec

from millstream.errors import MillstreamError, UpstreamError, unforeseen
from millstream.events import Event
from millstream.sockets.upstream import Body
from millstream.upstreams import Sink
from millstream.upstreams.decoder import Decoder
from millstream.wire.sse import Decoder as ServerEvents
from millstream.wire.sse import Events, Messages, ServerEvent

log = logging.getLogger("millstream")

WHOLE = 16 << 20  # bytes of an unstreamed answer
GZIP = b"\x1f\x8b"
LF = ord("\n")  # `in` finds a number eight times as fast as bytes
REST = 5.0  # s to wait for usage and end once the text is complete, so that clients don't wait for a whole timeout


class Payloads(Protocol):
    """A decoder from bytes to server-sent events. Raises ValueError."""

    def feed(self, data: bytes) -> Events: ...

    def close(self) -> list[ServerEvent]: ...


class Whole:
    """Decodes a body that is one JSON document, from a server that does not stream: one event at the end."""

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
    """Chooses the decoder by the first byte. Content-Type is no help: servers label streams as application/json, and
    errors, which are one JSON document, as text/event-stream."""

    def __init__(self) -> None:
        self._source: Payloads | None = None
        self._begun = b""

    def feed(self, data: bytes) -> Events:
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


class Answer:
    """An answer over HTTP. See the protocol upstreams.Answer."""

    __slots__ = ("_body", "_decoder", "_ended", "_failure", "_name", "_sink", "_source")

    def __init__(self, body: Body, source: Payloads, decoder: Decoder, name: str) -> None:
        self._body = body
        self._source = source
        self._decoder = decoder
        self._name = name
        self._ended = False
        self._failure: MillstreamError | None = None  # the error that ended the answer
        self._sink: Sink | None = None

    def __iter__(self) -> Iterator[list[Event]]:
        """Yield the events before an error, then raise the error."""
        while not self._ended:
            try:
                data = self._body.read(REST if self._decoder.finished else None)
            except (OSError, ValueError) as error:
                batch = self._cut(error)
            else:
                batch = self._decode(data)
            if batch:
                yield batch
        self.close()
        if (failure := self._failure) is not None:
            self._failure = None
            try:
                raise failure
            finally:
                del failure  # its traceback holds this frame

    def begin(self, sink: Sink) -> None:
        self._sink = sink
        self._body.begin(self._came, self._over)

    def close(self) -> None:
        self._sink = None
        if self._decoder.done:
            self._body.release()
        else:
            self._body.close()

    def _came(self, payload: bytes) -> None:
        batch = self._decode(payload)
        if self._ended:
            self._finish(batch)
        elif batch and self._sink is not None:
            self._sink.batch(batch)
        if self._sink is not None and self._decoder.finished:
            self._body.hurry(REST)

    def _over(self, error: BaseException | None) -> None:
        self._finish(self._decode(b"") if error is None else self._cut(error))

    def _finish(self, batch: list[Event]) -> None:
        sink, failure = self._sink, self._failure
        self._failure = None
        self.close()
        if sink is None:
            return
        if failure is not None:
            sink.over(failure.with_traceback(None), batch)
        else:
            sink.over(batch[-1], batch[:-1])

    def _cut(self, error: BaseException) -> list[Event]:
        """End an answer whose body has broken off or can't be read."""
        if isinstance(error, OSError):
            return self._close([], None if self._decoder.finished else self._decoder.cut())
        if isinstance(error, ValueError):
            return self._close([], self._decoder.unreadable(error))
        log.error("upstream %s failed unexpectedly", self._name, exc_info=error)
        return self._close([], unforeseen())

    def _decode(self, data: bytes) -> list[Event]:
        """Return the events in the bytes of one read; b"" is the end."""
        batch: list[Event] = []
        failure: MillstreamError | None = None
        try:
            came = self._source.feed(data) if data else self._source.close()
            if isinstance(came, Messages) and (texts := self._decoder.texts(came.lines, came.count)) is not None:
                return texts
            for event in came:
                for payload in _payloads(event.data):
                    batch += self._decoder.feed(payload, event.type)
        except UpstreamError as error:
            failure = error
        except ValueError as error:
            failure = self._decoder.unreadable(error)
            failure.__cause__ = error
        if failure is not None or self._decoder.done or not data:
            return self._close(batch, failure, cut=not data)
        return batch

    def _close(self, batch: list[Event], failure: MillstreamError | None, cut: bool = False) -> list[Event]:
        """Return the last batch; the failure follows it, if there is one."""
        self._ended = True
        if failure is not None and cut and failure.code == "upstream_protocol":
            failure = None if self._decoder.finished else self._decoder.cut()  # half an event
        if failure is None:
            try:
                return batch + self._decoder.close()
            except UpstreamError as error:
                failure = error
        self._failure = failure
        return batch


def _payloads(data: bytes) -> list[bytes]:
    """Split data into payloads; mostly there is one. Relays of GLM and Kimi separate events by a single line end."""
    if LF not in data or _is_json(data):
        return [data]
    lines = [line for line in data.split(b"\n") if line.strip()]
    return lines if all(line == b"[DONE]" or _is_json(line) for line in lines) else [data]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
