"""Ids of responses and of their items. An upstream's own item `msg_{rest}` is `msg_{stream}_{index}_{rest}` here: a
reference finds its stream, and the upstream gets its own id back, without which it opens no sealed thought."""

from __future__ import annotations

import re

STREAM = 22  # characters of a stream's id
ITEM = re.compile(rf"([^_]*)_[\w-]{{{STREAM}}}_[0-9]+(?:_(.*))?", re.ASCII | re.DOTALL)


def stream_id(id: str, prefix: str = "resp") -> str:
    """Return the stream's id from the id of a response or an item; "" if it is not one of ours."""
    kind, _, rest = id.partition("_")
    return rest[:STREAM] if kind == prefix and len(rest) >= STREAM else ""


def ours(id: str, stream: str, index: int) -> str:
    kind, cut, rest = id.partition("_")
    if not cut:
        kind, rest = "", id
    return f"{kind}_{stream}_{index}_{rest}"


def theirs(id: str) -> str:
    """The upstream's own id of an item; "" where it has none."""
    if (found := ITEM.fullmatch(id)) is None:
        return id
    kind, rest = found.groups()
    return f"{kind}_{rest}" if kind and rest else rest or ""
