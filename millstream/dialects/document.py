"""The answer to a call that is neither a chat nor a completion: one JSON document, passed on as it came."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from millstream.dialects.foreign import loads, table
from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import reason_in
from millstream.events import Event, Usage

ASKED = ("prompt_tokens", "input_tokens", "total_tokens")  # the first that is known counts


class _Document(Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(_Document).decode


class Document(Reader):
    """The document rides with `done`."""

    says = "JSON document"

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        self.done = payload == b"[DONE]"
        if not self.done:
            self._read(payload)
            self.frame, self.finished = payload, True
        return []

    def _read(self, payload: bytes) -> None:
        document = _decode(payload)
        if document.error is not None and bytes(document.error) != b"null":
            raise Broken(reason_in(payload), elsewhere=True)
        tokens = table(loads(bytes(document.usage)))
        asked = next(filter(None, (count(tokens.get(name)) for name in ASKED)), 0)
        self.usage = Usage(asked, count(tokens.get("output_tokens")))
