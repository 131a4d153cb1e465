"""text/plain: the answer's text and nothing else."""

from __future__ import annotations

from typing import ClassVar

from millstream.events import Event, Meta
from millstream.formats import ABORT, Abort, Options
from millstream.formats.objects import valid


class Text:
    """Writes the text. It can't express a failure, so the body must not end cleanly. Clients resume by `offset`, in
    bytes of text."""

    NAME: ClassVar[str] = "text"
    MEDIA_TYPE: ClassVar[str] = "text/plain"
    CONTENT_TYPE: ClassVar[str] = "text/plain; charset=utf-8"
    HEARTBEAT: ClassVar[bytes] = b""  # any byte would become part of the answer

    def __init__(self, meta: Meta, options: Options) -> None:
        self._padding = options.padding
        self._skip = options.offset

    def opening(self) -> bytes:
        return b"\n".rjust(self._padding) if self._padding > 0 else b""

    def encode(self, batch: list[Event]) -> bytes:
        data = _utf8([event.text for event in batch if event.type == "message" and not event.choice])
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            return data[skipped:]
        return data

    def closing(self, event: Event) -> bytes | Abort:
        return b"" if event.type == "done" else ABORT


def _utf8(texts: list[str]) -> bytes:
    try:
        return "".join(texts).encode()
    except UnicodeEncodeError:
        # Event by event: offsets count bytes, which must not depend on how events were batched.
        return "".join(map(valid, texts)).encode()
