"""Events → an answer in the Messages API's events: https://docs.claude.com/en/docs/build-with-claude/streaming"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from millstream.dialects.blocks import Block, Blocks, Steps
from millstream.dialects.foreign import Object
from millstream.dialects.messages.failure import error
from millstream.dialects.signatures import tagged
from millstream.events import End, Event, Meta, Usage
from millstream.formats import Abort, EventStream
from millstream.formats.objects import failure_of, one_line, to_json

NAME = "messages"
# finish_reason → stop_reason. Other values are Anthropic's own and stay unchanged.
REASONS = {
    "stop": "end_turn",
    "cancelled": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class Writer(Steps, EventStream):
    """Blocks one after the other, as Anthropic gives them. Its packages drop what has no `event:`."""

    NAME: ClassVar[str] = NAME

    def __init__(self, meta: Meta) -> None:
        super().__init__(meta)
        self._begun = False

    def closing(self, event: Event) -> bytes | Abort:
        if event.type == "failed":
            return b"event: error\ndata: %b\n\n" % to_json(error(failure_of(event), f"req_{self._meta.id}"))
        if event.frames:
            return self._encode(event)
        rest = self._start() + self._rest()
        end = event.end or End("", "")
        reason, stop = _ended(self._blocks, end)
        delta = {"stop_reason": reason, "stop_sequence": stop}
        return rest + _event("message_delta", delta=delta, usage=_usage(end.usage)) + _event("message_stop")

    def _encode(self, event: Event) -> bytes:
        return (b"" if event.frames else self._start()) + super()._encode(event)

    def _pass(self, frame: bytes) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (_typed(frame).type.encode(), one_line(frame))

    def _start(self) -> bytes:
        """Return the start. The first event shows whether the upstream speaks this dialect, too."""
        if self._begun or self._passing:
            return b""
        self._begun = True
        usage = {**_usage(None), "input_tokens": max(1, self._meta.prompt)}  # an estimate: the true one comes last
        return _event("message_start", message=_message(self._meta, [], None, None, usage))

    def _step(self, verb: str, block: Block, text: str) -> bytes:
        if verb == "open":
            return _event("content_block_start", index=block.index, content_block=_begun(block))
        if verb == "piece":
            name, field = DELTAS[block.kind]
            return _event("content_block_delta", index=block.index, delta={"type": name, field: text})
        signed = b""
        if block.kind == "reasoning":
            signature = {"type": "signature_delta", "signature": tagged(block.signature, block.origin, NAME)}
            signed = _event("content_block_delta", index=block.index, delta=signature)
        return signed + _event("content_block_stop", index=block.index)


class _Typed(Struct):
    type: str = "message"


_typed = msgspec.json.Decoder(_Typed).decode


def whole(meta: Meta, blocks: Blocks, event: Event) -> Object:
    """The message in one piece."""
    end = event.end or End("", "")
    content = [{**_begun(block), **_said(block)} for block in blocks.blocks]
    return _message(meta, content, *_ended(blocks, end), _usage(end.usage))


def _message(meta: Meta, content: list[Object], reason: str | None, stop: str | None, usage: Object) -> Object:
    return {
        "id": f"msg_{meta.id}",
        "type": "message",
        "role": "assistant",
        "model": meta.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": usage,
    }


def _ended(blocks: Blocks, end: End) -> tuple[str, str | None]:
    if end.stop_sequence is not None:
        return "stop_sequence", end.stop_sequence
    reason = blocks.reason(end)
    return REASONS.get(reason, reason), None


def _usage(usage: Usage | None) -> Object:
    """Tokens from the cache are not counted among the input."""
    counted = usage or Usage(0, 0)
    return {
        "input_tokens": max(0, counted.input - counted.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counted.cached,
        "output_tokens": counted.output,
    }


DELTAS = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "call": ("input_json_delta", "partial_json"),
}


def _begun(block: Block) -> Object:
    """A block before its first piece."""
    if block.kind == "call":
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
    if block.kind == "reasoning":
        return {"type": "thinking", "thinking": "", "signature": ""}
    if block.kind == "redacted":
        return {"type": "redacted_thinking", "data": tagged(block.signature, block.origin, NAME)}
    return {"type": "text", "text": ""}


def _said(block: Block) -> Object:
    """Return a whole block's fields that its beginning lacks."""
    if block.kind == "call":
        return {"input": block.input}
    if block.kind == "reasoning":
        return {"thinking": block.text, "signature": tagged(block.signature, block.origin, NAME)}
    return {} if block.kind == "redacted" else {"text": block.text}


def _event(type: str, **says: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type.encode(), to_json({"type": type, **says}))
