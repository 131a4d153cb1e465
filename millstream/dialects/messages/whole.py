"""The events of one answer → the message that is given unstreamed: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.dialects.blocks import Blocks, loads
from millstream.dialects.foreign import read, table
from millstream.dialects.messages import answer
from millstream.events import Event, Meta

Object = dict[str, Any]

# A delta's field → the field of the block that it extends.
TEXTS = {"text": "text", "thinking": "thinking", "signature": "signature", "partial_json": "input"}


def whole(meta: Meta, blocks: Blocks, event: Event) -> Object:
    """Write the whole message. If Anthropic itself answered, return its message, including unknown fields."""
    return assemble(map(read, blocks.frames)) if event.frames else answer.whole(meta, blocks, event)


def assemble(events: Iterable[Object]) -> Object:
    """Assemble one object from all events of an answer."""
    message: Object = {}
    blocks: dict[Any, Object] = {}
    for event in events:
        kind, block = event.get("type"), blocks.setdefault(event.get("index"), {})
        if kind == "message_start":
            message = table(event.get("message"))
        elif kind == "content_block_start":
            block |= table(event.get("content_block"))
        elif kind == "content_block_delta":
            _continue(block, table(event.get("delta")))
        elif kind == "message_delta":
            usage = {**table(message.get("usage")), **table(event.get("usage"))}
            more = {name: value for name, value in event.items() if name not in ("type", "delta")}
            message = {**message, **table(event.get("delta")), **more, "usage": usage}
    content = [blocks[index] for index in sorted(index for index in blocks if isinstance(index, int))]
    return {**message, "content": [_closed(block) for block in content if block]}


def _continue(block: Object, delta: Object) -> None:
    for name, value in delta.items():
        if name == "citation":
            block["citations"] = [*(block.get("citations") or []), value]
        elif name in TEXTS and isinstance(value, str):
            before = block.get(TEXTS[name])
            block[TEXTS[name]] = before + value if isinstance(before, str) else value


def _closed(block: Object) -> Object:
    """Arguments came as text."""
    text = block.get("input")
    return {**block, "input": loads(text) or {}} if isinstance(text, str) else block
