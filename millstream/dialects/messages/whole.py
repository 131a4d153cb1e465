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
    blocks: dict[Any, Object] = {}
    more: dict[Any, dict[str, list[Any]]] = {}  # what continues them, by field
    for event in events:
        kind, index = event.get("type"), event.get("index")
        block, grown = blocks.setdefault(index, {}), more.setdefault(index, {})
        if kind == "message_start":
            message = table(event.get("message"))
        elif kind == "content_block_start":
            block |= table(event.get("content_block"))
        elif kind == "content_block_delta":
            for name, value in table(event.get("delta")).items():
                if name == "citation" or (name in TEXTS and isinstance(value, str)):
                    grown.setdefault(TEXTS.get(name, "citations"), []).append(value)
        elif kind == "message_delta":
            usage = {**table(message.get("usage")), **table(event.get("usage"))}
            rest = {name: value for name, value in event.items() if name not in ("type", "delta")}
            message = {**message, **table(event.get("delta")), **rest, "usage": usage}
    order = sorted(index for index in blocks if isinstance(index, int))
    return {**message, "content": [_closed(blocks[at], more[at]) for at in order if blocks[at] or more[at]]}


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
