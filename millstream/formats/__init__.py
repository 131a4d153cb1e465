"""The five ways to write a stream down. One file a format; no I/O, no clock, no Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from millstream.events import End, Event, Meta


class Options(Struct, frozen=True):
    """The client's wishes for the format.

    `url` is the stream's own address; it begins with `root`, the path that the server runs under ("" for none).
    `position` is the last event number the client has; `offset` the number of bytes of text it has (text only).
    `padding` is in bytes. `retry` is what an EventSource is told to wait, in ms (SSE only; the caller spreads it).
    `event_source`: a browser's EventSource may be asking. It keeps half a line of a cut connection (SSE only).
    `render` draws a template by name (HTML only): it takes the name and the values, and gives escaped HTML.
    """

    url: str = ""
    root: str = ""
    position: int = 0
    offset: int = 0
    padding: int = 0
    retry: int = 2000
    event_source: bool = False
    render: Callable[[str, dict[str, Any]], str] | None = None


class Abort:
    """Given by `closing` where the format has no words for a failure, or none that all clients heed: after what it
    still `says`, the connection has to be broken off."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says


ABORT = Abort()


class Format(Protocol):
    """Writes one stream for one client. Every piece of bytes it gives holds whole characters only."""

    NAME: ClassVar[str]  # as in ?format=
    MEDIA_TYPE: ClassVar[str]  # as negotiated, without parameters
    CONTENT_TYPE: ClassVar[str]  # as sent

    def __init__(self, meta: Meta, options: Options) -> None: ...

    @property
    def HEARTBEAT(self) -> bytes:  # noqa: N802
        """Return a heartbeat; b"" if the format has none."""
        ...

    def opening(self) -> bytes:
        """Return the bytes before the first event."""
        ...

    def encode(self, batch: list[Event]) -> bytes:
        """The bytes for events that are not terminal; b"" where there is nothing to say."""
        ...

    def closing(self, event: Event) -> bytes | Abort:
        """The bytes for the terminal event, `done` or `failed`."""
        ...


class EventStream:
    """The common part of all server-sent events: https://html.spec.whatwg.org/#server-sent-events"""

    __slots__ = ()

    MEDIA_TYPE: ClassVar[str] = "text/event-stream"
    CONTENT_TYPE: ClassVar[str] = "text/event-stream; charset=utf-8"
    HEARTBEAT: ClassVar[bytes] = b": ping\n"

    def opening(self) -> bytes:
        return b""


def facts(end: End) -> dict[str, Any]:
    """Return the facts of a `done` event: DONE_KEYS in every format."""
    usage = end.usage
    return {
        "finish_reason": end.finish_reason,
        "usage": usage
        and {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "source": usage.source,
        },
        "cost": end.cost,
        "currency": end.currency,
        "model": end.model,
        "upstream": end.upstream,
    }
