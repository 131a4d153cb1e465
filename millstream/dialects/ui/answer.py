"""Events → the chunks of a UI message stream: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol"""

from __future__ import annotations

from typing import Any, ClassVar

from millstream.dialects.blocks import Block, Steps, loads
from millstream.dialects.foreign import Object
from millstream.dialects.signatures import tagged
from millstream.dialects.ui.question import NAME, OURS
from millstream.events import End, Event
from millstream.formats import Abort, EventStream, facts
from millstream.formats.objects import failure_of, to_json

# finish_reason → a value that the client knows. The client fails at any other value or chunk type.
REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
}
DONE = b"data: [DONE]\n\n"


class Writer(Steps, EventStream):
    """Writes the chunks. Each replay begins with `start` and the same messageId, so the client replaces its
    message."""

    NAME: ClassVar[str] = NAME

    def opening(self) -> bytes:
        message = self._meta.echo.get("message") or f"msg_{self._meta.id}"
        return _chunk("start", messageId=message) + _chunk("start-step")

    def closing(self, event: Event) -> bytes | Abort:
        if event.type == "failed":
            return _chunk("error", errorText=failure_of(event).message) + DONE
        rest = self._rest()
        end = event.end or End("", "")
        reason = self._blocks.reason(end)
        if reason == "cancelled":
            return rest + _chunk("abort", reason="stopped") + DONE
        metadata = {name: value for name, value in facts(end).items() if value is not None}
        metadata["stream"] = self._meta.id
        finish = _chunk("finish", finishReason=REASONS.get(reason, "other"), messageMetadata=metadata)
        return rest + _chunk("finish-step") + finish + DONE

    def _step(self, verb: str, block: Block, text: str) -> bytes:
        if block.kind == "call":
            return _call(verb, block, text)
        name = "reasoning" if block.kind in ("reasoning", "redacted") else "text"
        id = f"{name}_{block.index}"
        if verb == "piece":
            return _chunk(f"{name}-delta", id=id, delta=text)
        return _chunk(f"{name}-{'start' if verb == 'open' else 'end'}", id=id, **_signed(verb, block))


def _call(verb: str, block: Block, text: str) -> bytes:
    called = {"toolCallId": block.id, "toolName": block.name}
    if verb == "open":
        return _chunk("tool-input-start", **called)
    if verb == "piece":
        return _chunk("tool-input-delta", toolCallId=block.id, inputTextDelta=text)
    arguments = loads(block.text or "{}")
    if arguments is None:
        return _chunk("tool-input-error", **called, input=block.text, errorText="The arguments are not valid JSON.")
    return _chunk("tool-input-available", **called, input=arguments)


def _signed(verb: str, block: Block) -> Object:
    """A thought's signature comes back with the part that it belongs to."""
    if verb != "close" or not block.signature:
        return {}
    ours: Object = {"signature": tagged(block.signature, block.origin, NAME)}
    return {"providerMetadata": {OURS: ours | ({"redacted": True} if block.kind == "redacted" else {})}}


def _chunk(type: str, **says: Any) -> bytes:
    return b"data: %b\n\n" % to_json({"type": type, **says})
