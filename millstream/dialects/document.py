"""The answer to a call that is neither a chat nor a completion: one JSON document, passed on as it came."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import reason_in
from millstream.events import Event, Usage


class _Usage(Struct):
    prompt_tokens: int = 0
    input_tokens: int = 0
    total_tokens: int = 0
    output_tokens: int = 0


class _Document(Struct):
    usage: _Usage | None = None
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
        if (said := document.usage) is not None:
            asked = count(said.prompt_tokens) or count(said.input_tokens) or count(said.total_tokens)
            self.usage = Usage(asked, count(said.output_tokens))
