"""text/event-stream: server-sent events, https://html.spec.whatwg.org/#server-sent-events"""

from __future__ import annotations

from typing import ClassVar

from millstream.events import TERMINAL, Event, Meta
from millstream.formats import Abort, EventStream, Options
from millstream.formats.objects import encoded, ending, escaped, kind, lines, said, start, to_json

# The default type is `message`: leaving out the `event:` line saves bytes.
_HEADS = {"message": b"", "reasoning": b"event: reasoning\n"}


class Sse(EventStream):
    """Writes one server-sent event for each event of the stream. Clients resume by its id, `{stream}.{n}`.

    `data:` comes before `id:` in every event. Some clients keep the id of an event that was cut before its data, and
    would never see that event again (PhantomJS 1.9, @microsoft/fetch-event-source).
    """

    __slots__ = ("_id", "_meta", "_options")

    NAME: ClassVar[str] = "sse"

    def __init__(self, meta: Meta, options: Options) -> None:
        self._meta = meta
        self._options = options
        self._id = meta.id.encode()

    def opening(self) -> bytes:
        # Send it as one block: @microsoft/fetch-event-source, httpx-sse and others turn a block without data into an
        # empty event. But the EventSource of WebKit and of Chromium 49 joins half a line of a cut connection to the
        # first line of the next one. For them a blank line goes first, so that `start` stays whole. An EventSource
        # makes no event of a blank line.
        end = b"\n" if self._options.event_source else b""
        head = b"retry: %d\n%b%b" % (self._options.retry, self._comment(), end)
        return head + self._event(
            b"event: start\n", to_json(start(self._meta, self._options)), self._options.position
        )

    def encode(self, batch: list[Event]) -> bytes:
        if len(batch) > 1 and not any(event.choice or event.type != "message" for event in batch):
            return self._texts(batch)
        pieces = []
        for event in batch:
            head = _HEADS.get(event.type)
            if head is not None and not event.choice:
                text = encoded(event.text)
                pieces.append(b'%bdata: {"text":%b}\nid: %b.%d\n\n' % (head, text, self._id, event.n))
            elif event.type not in TERMINAL:
                pieces.append(self._event(b"event: %b\n" % kind(event).encode(), to_json(said(event)), event.n))
        return escaped(b"".join(pieces))

    def _texts(self, batch: list[Event]) -> bytes:
        """Encode many pieces of text in one call."""
        id = self._meta.id
        texts = lines([event.text for event in batch])
        pairs = zip(texts, batch, strict=True)
        events = [f'data: {{"text":{text}}}\nid: {id}.{event.n}\n\n' for text, event in pairs]
        return escaped("".join(events).encode())

    def closing(self, event: Event) -> bytes | Abort:
        return self._event(b"event: %b\n" % event.type.encode(), to_json(ending(event)), event.n)

    def _event(self, head: bytes, data: bytes, n: int) -> bytes:
        return b"%bdata: %b\nid: %b.%d\n\n" % (head, data, self._id, n)

    def _comment(self) -> bytes:
        padding = self._options.padding
        return b":".ljust(padding - 1) + b"\n" if padding > 0 else b": ok\n"
