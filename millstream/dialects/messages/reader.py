"""Turn the events of Anthropic's Messages API into ours. Pure.

https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json

from millstream.dialects.foreign import Object, read_frame, string, table, tables, whole
from millstream.dialects.messages.question import NAME
from millstream.dialects.reading import Broken, Reader, count, repair
from millstream.dialects.reasons import is_error, reason_in
from millstream.events import Event, Piece, Usage
from millstream.formats.objects import to_json

# stop_reason → finish_reason. Other values stay unchanged.
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# Tokens written to the prompt cache, and read from it, are not in input_tokens: add them.
CACHED = "cache_read_input_tokens"
INPUT = ("input_tokens", "cache_creation_input_tokens", CACHED)
COUNTED = ("message_start", "message_delta", "message")  # have a usage
NOTHING = (b"[DONE]", b"null", b"{}")


class Events(Reader):
    """An answer without message_stop was cut."""

    says = "an event of the Messages API"

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, int] = {}
        self._calls: dict[int | None, Piece] = {}  # by the number of their blocks
        self._signatures: dict[int | None, list[str]] = {}  # pieces, of blocks that are not over yet

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        if not payload or payload.isspace() or payload in NOTHING:
            return []
        document, passed, _ = read_frame(payload)
        kind = document.get("type", type)
        if kind == "error" or document.get("error"):
            raise Broken(reason_in(payload))
        if (type == "document" and kind != "message") or ("type" not in document and is_error(document)):
            raise Broken(reason_in(payload), elsewhere=True)
        self.frame = passed
        if kind in COUNTED and _repaired(table(document.get("message")) if kind == "message_start" else document):
            self.frame = to_json(document)
        return self._read(kind, document)

    def _read(self, kind: object, document: Object) -> list[Event]:
        number = whole(document.get("index"))
        if kind == "content_block_delta":
            return self._block(number, table(document.get("delta")))
        if kind == "content_block_start":
            return self._block(number, table(document.get("content_block")))
        if kind == "content_block_stop":
            return self._close(number)
        if kind == "message_start":
            self._know(table(document.get("message")))
        elif kind == "message_delta":
            self._know(table(document.get("delta")))
            self._count(table(document.get("usage")))
        elif kind == "message_stop":
            self.done = self.finished = True
        elif kind == "message":
            return self._whole(document)
        return []  # ping, and what is to come: unknown events are to be ignored

    def _whole(self, document: Object) -> list[Event]:
        """A message that came unstreamed."""
        self._know(document)
        self.done = self.finished = True
        events: list[Event] = []
        for number, block in enumerate(tables(document.get("content"))):
            events += self._block(number, block) + self._close(number)
        return events

    def _know(self, message: Object) -> None:
        self.model = string(message.get("model")) or self.model
        stop = string(message.get("stop_reason"))
        self.finish_reason = REASONS.get(stop, stop) or self.finish_reason
        if isinstance(sequence := message.get("stop_sequence"), str):
            self.stop_sequence = sequence
        self._count(table(message.get("usage")))

    def _count(self, usage: Object) -> None:
        # Each usage holds the sums so far: later values replace earlier ones, missing fields keep theirs.
        for name in (*INPUT, "output_tokens"):
            if value := count(usage.get(name)):
                self._tokens[name] = value
        asked = sum(self._tokens.get(name, 0) for name in INPUT)
        came = self._tokens.get("output_tokens", 0)
        if asked or came:
            self.usage = Usage(asked, came, cached=self._tokens.get(CACHED, 0))

    def _block(self, number: int | None, block: Object) -> list[Event]:
        """Read a block, or a piece of one. Citations, and tools that Anthropic runs itself, say nothing here."""
        kind = block.get("type")
        if kind == "tool_use":
            return self._call(number, block)
        if kind == "input_json_delta":
            call = self._calls.get(number)
            pieces = self.characters(string(block.get("partial_json")), f"call {number}") if call else ""
            return [Event("call", pieces, call=call)] if call and pieces else []
        if kind == "redacted_thinking":
            return [Event("reasoning", signature=string(block.get("data")), redacted=True, origin=NAME)]
        events = []
        if thought := self.characters(string(block.get("thinking")), "reasoning"):
            events.append(Event("reasoning", thought))
        if said := self.characters(string(block.get("text")), "message"):
            events.append(Event("message", said))
        if signature := string(block.get("signature")):
            self._signatures.setdefault(number, []).append(signature)
            self.held += len(signature)
        return events

    def _call(self, number: int | None, block: Object) -> list[Event]:
        call = Piece(len(self._calls), string(block.get("id")), string(block.get("name")))
        self._calls[number] = Piece(call.index)
        given = block.get("input")
        return [Event("call", json.dumps(given, ensure_ascii=False) if given else "", call=call)]

    def _close(self, number: int | None) -> list[Event]:
        signature = "".join(self._signatures.pop(number, ()))
        return [Event("reasoning", signature=signature, origin=NAME)] if signature else []


def _repaired(message: Object) -> bool:
    """Give it a usage that Anthropic's packages can read: they fail where there is none."""
    if isinstance(usage := message.get("usage"), dict):
        return repair(usage)
    message["usage"] = {"output_tokens": 0}
    return True
