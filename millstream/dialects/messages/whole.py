"""The events of one answer → the message that is given unstreamed: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from millstream.dialects.blocks import Blocks, loads
from millstream.dialects.foreign import Object, read, string, table
from millstream.dialects.messages import answer
from millstream.events import Event, Meta

# A delta's field → the field of the block that it extends.
TEXTS = {"text": "text", "thinking": "thinking", "signature": "signature", "partial_json": "input"}


def whole(meta: Meta, blocks: Blocks, event: Event) -> Object:
    """Write the whole message. If Anthropic itself answered, return its message, including unknown fields."""
    return assemble(map(read, blocks.frames)) if event.frames else answer.whole(meta, blocks, event)


def assemble(events: Iterable[Object]) -> Object:
    """Assemble one object from all events of an answer."""
    message: Object = {}
    blocks: dict[int, tuple[Object, dict[str, list[Any]]]] = {}  # as each began, and what continues it, by field
    for event in events:
        kind, index = event.get("type"), event.get("index")
        if kind == "message_start":
            message = table(event.get("message"))
        elif kind == "message_delta":
            usage = {**table(message.get("usage")), **table(event.get("usage"))}
            rest = {name: value for name, value in event.items() if name not in ("type", "delta")}
            message = {**message, **table(event.get("delta")), **rest, "usage": usage}
        elif isinstance(index, int):
            begun, more = blocks.setdefault(index, ({}, {}))
            if kind == "content_block_start":
                begun |= table(event.get("content_block"))
            elif kind == "content_block_delta":
                for name, value in table(event.get("delta")).items():
                    if name == "citation" or (name in TEXTS and isinstance(value, str)):
                        more.setdefault(TEXTS.get(name, "citations"), []).append(value)
    return {**message, "content": [_closed(*block) for _, block in sorted(blocks.items()) if any(block)]}


def _closed(block: Object, more: dict[str, list[Any]]) -> Object:
    """Arguments came as text."""
    for name, pieces in more.items():
        begun = block.get(name)
        if name == "citations":
            block[name] = [*(begun if isinstance(begun, list) else ()), *pieces]
        else:
            block[name] = "".join([string(begun), *pieces])
    text = block.get("input")
    return {**block, "input": loads(text) or {}} if isinstance(text, str) else block
