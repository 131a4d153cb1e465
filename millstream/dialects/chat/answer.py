"""One answer in the chunks of chat completions → events: https://platform.openai.com/docs/api-reference/chat-streaming"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec.structs import replace

from millstream.events import Event, Piece, Usage
from millstream.formats.objects import valid

Object = dict[str, Any]


class Reader:
    """Frames → events. `done` completes the terminal event with what the usage's details said."""

    def __init__(self) -> None:
        self._cached = self._reasoning = 0

    def feed(self, frame: bytes) -> list[Event]:
        chunk = _object(frame)
        self._count(_dict(chunk.get("usage")))
        events: list[Event] = []
        for choice in _dicts(chunk.get("choices")):
            number = choice.get("index") if isinstance(choice.get("index"), int) else 0
            delta = _dict(choice.get("delta") or choice.get("message"))
            for event in _events(delta):
                events.append(replace(event, choice=number) if number else event)
        return events

    def done(self, event: Event) -> Event:
        end = event.end
        if end is None or end.usage is None or not (self._cached or self._reasoning):
            return event
        usage: Usage = replace(end.usage, cached=self._cached, reasoning=self._reasoning)
        return replace(event, end=replace(end, usage=usage))

    def _count(self, usage: Object) -> None:
        cached = _dict(usage.get("prompt_tokens_details")).get("cached_tokens")
        thought = _dict(usage.get("completion_tokens_details")).get("reasoning_tokens")
        self._cached = cached if isinstance(cached, int) and cached > 0 else self._cached
        self._reasoning = thought if isinstance(thought, int) and thought > 0 else self._reasoning


def _events(delta: Object) -> list[Event]:
    events = []
    if thought := _text(delta.get("reasoning_content")) or _text(delta.get("reasoning")):
        events.append(Event("reasoning", thought))
    if text := _text(delta.get("content")):
        events.append(Event("message", text))
    if text := _text(delta.get("refusal")):
        events.append(Event("message", text, refusal=True))
    for place, call in enumerate(_dicts(delta.get("tool_calls"))):
        function = _dict(call.get("function"))
        index = call.get("index")
        piece = Piece(index if isinstance(index, int) else place, _text(call.get("id")), _text(function.get("name")))
        events.append(Event("call", _text(function.get("arguments")), call=piece))
    return events


def _object(frame: bytes) -> Object:
    try:
        return _dict(msgspec.json.decode(frame))
    except (ValueError, RecursionError):  # half surrogates, invalid UTF-8
        return _dict(json.loads(frame.decode("utf-8", "replace")))


def _text(value: Any) -> str:
    if isinstance(value, list):  # Mistral's content in parts
        return "".join(_text(part.get("text")) for part in _dicts(value))
    return valid(value) if isinstance(value, str) else ""


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
