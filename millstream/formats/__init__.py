"""The five formats that a stream can be written in, one per file. They use no I/O, no clock and no Flask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from millstream.events import End, Event, Meta


class Options(Struct, frozen=True):
    """The client's options for the format.

    `url` is the stream's address; it begins with `root`, the path that the server runs under ("" for none).
    `position` is the number of the last event that the client has; `offset` counts its bytes of text (text only).
    `padding` is in bytes. `retry` tells an EventSource how many ms to wait (SSE only; the caller varies it).
    `event_source`: the client may be a browser's EventSource, which keeps half a line of a cut connection (SSE only).
    `render` turns a template's name and values into escaped HTML (HTML only).
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
    """The result of `closing` if the format can't express a failure in a way that all clients notice. Send `says`,
    then cut the connection."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says


ABORT = Abort()


class Format(Protocol):
    """Writes one stream for one client. It never splits a character between two pieces of bytes."""

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
        """Return the bytes for events that are not terminal; b"" if the format leaves them out."""
        ...

    def closing(self, event: Event) -> bytes | Abort:
        """Return the bytes for the terminal event, `done` or `failed`."""
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
