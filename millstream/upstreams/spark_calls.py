"""Function calls through OpenAI's API: what a question offers → Spark's functions; Spark's call → a frame.

https://www.xfyun.cn/doc/spark/Web.html, "Function Call"
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from millstream.errors import RequestError
from millstream.events import Event
from millstream.upstreams import frames

# The fields that offer functions, and those that say which one has to be called.
OFFERS = {"tools": "tool_choice", "functions": "function_call"}
OPTIONS = frozenset({*OFFERS, *OFFERS.values()})
PARTS = ("name", "description", "parameters")


def offer(options: dict[str, Any]) -> str:
    """The field that offers functions, or "". Raises RequestError (bad_field)."""
    for field, choice in OFFERS.items():
        if options.get(choice) not in (None, "auto", "none"):
            raise RequestError("bad_field", f"{choice}: Spark chooses by itself; leave it out.", choice)
        if options.get(field) and options.get(choice) != "none":
            return field
    return ""


def functions(options: dict[str, Any]) -> list[dict[str, Any]]:
    """In Spark's words; [] where none are offered. Raises RequestError (bad_field)."""
    field = offer(options)
    offered = options[field] if field else []
    if field == "tools":
        offered = [tool.get("function") if _is_function(tool) else None for tool in offered]
    if not all(isinstance(one, dict) and one.get("name") for one in offered):
        raise RequestError("bad_field", f"{field}: Spark takes functions with a name; leave out what is none.", field)
    return [{part: one[part] for part in PARTS if one.get(part) is not None} for one in offered]


def call(field: str, id: str, index: int, name: str, arguments: str) -> Event:
    """A call as a delta, for Frames. `field` is what offered it."""
    called = {"name": name, "arguments": arguments}
    if field == "functions":
        return Event("frame", frame=msgspec.json.encode({"function_call": called}))
    one = {"index": index, "id": id, "type": "function", "function": called}
    return Event("frame", frame=msgspec.json.encode({"tool_calls": [one]}))


class Frames(frames.Frames):
    """Takes deltas beside texts."""

    def encode(self, batch: Iterable[Event]) -> list[Event]:
        made: list[Event] = []
        for event in batch:
            if event.type != "frame":
                made += super().encode([event])
            else:
                made += super().encode([Event("message", "")])  # names the role
                made.append(self._choice(msgspec.json.decode(event.frame)))
        return made


def _is_function(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") == "function"
