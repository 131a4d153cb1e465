"""Events → an answer in the events of the Responses API.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any, ClassVar

from millstream.dialects.blocks import Block, Steps
from millstream.dialects.foreign import Object
from millstream.dialects.responses.question import NAME
from millstream.dialects.responses.response import (
    PARTS,
    ended,
    is_custom,
    item,
    item_id,
    last,
    passed,
    response,
)
from millstream.events import Event, Failure, Meta
from millstream.formats import Abort, EventStream
from millstream.formats.objects import failure_of, to_json


class Writer(Steps):
    """Numbers its events, `sequence_number` 0, 1 …; those up to `skip` the client has."""

    NAME: ClassVar[str] = NAME
    MEDIA_TYPE: ClassVar[str] = EventStream.MEDIA_TYPE
    CONTENT_TYPE: ClassVar[str] = EventStream.CONTENT_TYPE

    def __init__(self, meta: Meta, skip: int = -1) -> None:
        super().__init__(meta)
        self._skip = skip
        self._next = 0
        self._status = "completed"  # of the items that are closed
        self._passed = passed(meta)

    @property
    def count(self) -> int:
        """The number of events written or skipped so far."""
        return self._next

    @property
    def HEARTBEAT(self) -> bytes:  # noqa: N802
        """An event: Codex counts no comments. It has the number of the last one, and so takes none away."""
        last = {"type": "keepalive", "sequence_number": max(self._next - 1, self._skip)}
        return b"event: keepalive\ndata: %b\n\n" % to_json(last)

    def opening(self) -> bytes:
        begun = response(self._meta, "in_progress", [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def closing(self, event: Event) -> bytes | Abort:
        came = self._encode(event) if event.frames else b""
        if self._passed.response is not None:
            return came
        status, _ = ended(self._blocks, event)
        if status == "failed":
            came += self._error(failure_of(event))
        elif not self._passing:
            self._status = "completed" if status == "completed" else "incomplete"
            came += self._rest()
        name = status if status in ("completed", "failed") else "incomplete"
        return came + self._event(f"response.{name}", response=last(self._meta, self._blocks, event, self._passed))

    # -- one event ----------------------------------------------------------------------------------------------

    def _event(self, type: str, **says: Any) -> bytes:
        return self._numbered({"type": type, "sequence_number": 0, **says})

    def _pass(self, frame: bytes) -> bytes:
        return self._numbered(self._passed.take(frame))

    def _numbered(self, event: Object) -> bytes:
        number, self._next = self._next, self._next + 1
        if number <= self._skip:
            return b""
        event["sequence_number"] = number
        return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), to_json(event))

    def _error(self, failure: Failure) -> bytes:
        """Nested for those who look for `error`, flat for the others."""
        says = {"code": failure.code, "message": failure.message, "param": failure.param}
        return self._event("error", **says, error={"type": failure.type, **says})

    def _step(self, verb: str, block: Block, text: str) -> bytes:
        custom = is_custom(self._meta, block)
        ids = {"item_id": item_id(self._meta, block), "output_index": block.index}
        if verb == "open":
            begun = item(self._meta, block, "in_progress")
            added = self._event("response.output_item.added", output_index=block.index, item=begun)
            part = self._part("response.content_part.added", ids, block, "") if block.kind in PARTS else b""
            return added + part
        if verb == "piece":
            if block.kind == "call" and custom and not (block.call and block.call.custom):
                return b""  # free text, wrapped in JSON: it can be told only when it is whole
            return self._piece(ids, block, text, custom)
        done = item(self._meta, block, self._status)
        return self._done(ids, block, done, custom) + self._event(
            "response.output_item.done", output_index=block.index, item=done
        )

    def _piece(self, ids: Object, block: Block, text: str, custom: bool) -> bytes:
        if block.kind == "call":
            name = "custom_tool_call_input" if custom else "function_call_arguments"
            return self._event(f"response.{name}.delta", **ids, delta=text)
        if block.kind == "reasoning":
            summary = {**ids, "summary_index": 0}
            first = len(block.pieces) == 1
            part = {"type": "summary_text", "text": ""}
            added = self._event("response.reasoning_summary_part.added", **summary, part=part) if first else b""
            return added + self._event("response.reasoning_summary_text.delta", **summary, delta=text)
        more: Object = {"logprobs": []} if block.kind == "text" else {}
        name = "output_text" if block.kind == "text" else "refusal"
        return self._event(f"response.{name}.delta", **ids, content_index=0, delta=text, **more)

    def _done(self, ids: Object, block: Block, done: Object, custom: bool) -> bytes:
        if block.kind == "call" and custom:
            said = b"" if block.call and block.call.custom else self._piece(ids, block, done["input"], True)
            return said + self._event("response.custom_tool_call_input.done", **ids, input=done["input"])
        if block.kind == "call":
            name = {"name": block.name, "arguments": done["arguments"]}
            return self._event("response.function_call_arguments.done", **ids, **name)
        if block.kind == "reasoning" and block.text:
            summary = {**ids, "summary_index": 0}
            text = self._event("response.reasoning_summary_text.done", **summary, text=block.text)
            return text + self._event(
                "response.reasoning_summary_part.done", **summary, part={"type": "summary_text", "text": block.text}
            )
        if block.kind == "text":
            text = self._event("response.output_text.done", **ids, content_index=0, text=block.text, logprobs=[])
        elif block.kind == "refusal":
            text = self._event("response.refusal.done", **ids, content_index=0, refusal=block.text)
        else:
            return b""
        return text + self._part("response.content_part.done", ids, block, block.text)

    def _part(self, type: str, ids: Object, block: Block, text: str) -> bytes:
        return self._event(type, **ids, content_index=0, part=PARTS[block.kind](text))
