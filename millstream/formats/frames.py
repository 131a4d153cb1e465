"""OpenAI's event stream: https://platform.openai.com/docs/api-reference/chat-streaming"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from millstream.events import Event
from millstream.formats import Abort
from millstream.formats.objects import ending, one_line, to_json


class Frames:
    """Passes each frame on as it came; ends with [DONE], or after a failure with the error and nothing else.

    `usage`: the client asked for the frame that has a usage and no choices.
    """

    NAME: ClassVar[str] = "openai"
    MEDIA_TYPE: ClassVar[str] = "text/event-stream"
    CONTENT_TYPE: ClassVar[str] = "text/event-stream; charset=utf-8"
    HEARTBEAT: ClassVar[bytes] = b": ping\n"

    def __init__(self, usage: bool) -> None:
        self._usage = usage

    def opening(self) -> bytes:
        return b""

    def encode(self, batch: list[Event]) -> bytes:
        return b"".join([self._encode(event.frame) for event in batch if event.type == "frame"])

    def closing(self, event: Event) -> bytes | Abort:
        return b"data: [DONE]\n\n" if event.type == "done" else b"data: %b\n\n" % to_json(ending(event))

    def _encode(self, frame: bytes) -> bytes:
        if not self._usage and b'"usage"' in frame and _has_only_usage(frame):
            return b""
        return b"data: %b\n\n" % one_line(frame)  # most clients take one `data:` line for the whole of it


class _Chunk(Struct):
    choices: list[msgspec.Raw] | None = None
    usage: dict[str, Any] | None = None


def _has_only_usage(frame: bytes) -> bool:
    try:
        chunk = msgspec.json.decode(frame, type=_Chunk)
    except (ValueError, RecursionError):  # whatever it is, it is not ours to keep back
        return False
    return not chunk.choices and bool(chunk.usage)
