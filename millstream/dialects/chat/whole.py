"""OpenAI's chunks of one answer → the answer that is given unstreamed.

https://platform.openai.com/docs/api-reference/chat/object,
https://platform.openai.com/docs/api-reference/completions/object
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

from millstream.dialects.chat.writer import Chunks, tokens
from millstream.dialects.foreign import loads, table, tables
from millstream.events import End, Event, Meta

# Names and ids are sent whole: a repeated one is not appended.
NAMES = ("role", "id", "type", "name")
GROWING = ("text", "reasoning", "reasoning_content", "logprobs")  # of what lies in a choice itself
INSTEAD = ("tool_calls", "function_call", "refusal", "audio")  # what an answer may be that has no text
PADDING = "obfuscation"  # OpenAI's random characters against who measures the length of frames


def whole(meta: Meta, events: Iterable[Event], chat: bool = True) -> dict[str, Any]:
    """The answer of a log: its last event is `done`."""
    chunks, end = Chunks(meta, chat), End(meta.model, "")
    frames: list[bytes] = []
    for event in events:
        frames += chunks.of(event)
        end = event.end or end
    return assemble(frames, meta, end, chat)


def assemble(frames: Iterable[bytes], meta: Meta, end: End, chat: bool = True) -> dict[str, Any]:
    """Assemble one object from all frames of an answer. What no frame says is taken from `meta` and `end`."""
    chunks = [_object(frame) for frame in frames]
    choices = _by_index(chain.from_iterable(map(_choices, chunks)))
    ours = {
        "id": meta.id,
        "created": int(meta.created),
        "model": end.model,
        "usage": tokens(end.usage) if end.usage else None,
    }
    said = _last_said(chunks, omit=("choices", "object", PADDING))
    return {
        **said,
        **{name: value for name, value in ours.items() if value is not None and not said.get(name)},
        "object": "chat.completion" if chat else "text_completion",
        "choices": [_choice(index, pieces, chat, end) for index, pieces in sorted(choices.items())],
    }


def _texts(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str) and name not in NAMES:
        yield value
    elif isinstance(value, dict):
        for inner, item in value.items():
            yield from _texts(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, name)


def _choice(index: int, pieces: list[dict[str, Any]], chat: bool, end: End) -> dict[str, Any]:
    choice = {"index": index, **_last_said(pieces, omit=("index", "delta", "message", *GROWING))}
    for name in GROWING:
        if any(name in piece for piece in pieces):
            choice[name] = join([piece.get(name) for piece in pieces], name)
    if chat:
        deltas = tables([piece.get("delta") for piece in pieces])
        choice["message"] = _message(join([_in_texts(delta) for delta in deltas]) or {})
    choice["finish_reason"] = choice.get("finish_reason") or end.finish_reason
    return choice


def _message(said: dict[str, Any]) -> dict[str, Any]:
    """Chunks that bring no text name none, or null; the whole answer says "" there, unless it says something else.
    By OpenAI's schema `refusal` has to be there."""
    content = said.get("content")
    if content is None and not any(said.get(name) for name in INSTEAD):
        content = ""
    return {**said, "role": said.get("role") or "assistant", "content": content, "refusal": said.get("refusal")}


def _in_texts(delta: dict[str, Any]) -> dict[str, Any]:
    """Mistral's models give their thoughts as parts of a `content`, and the answer as texts."""
    parts = delta.get("content")
    if not isinstance(parts, list) or not all(_has_text(part) for part in parts):
        return delta
    thought = "".join(_texts([part.get("thinking") for part in parts], "thinking"))
    said = {**delta, "content": "".join(_texts([part.get("text") for part in parts], "text"))}
    return {**said, "reasoning_content": thought} if thought else said


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type", "text") in ("text", "thinking")


def join(pieces: Sequence[Any], name: str = "") -> Any:
    """Texts and lists continue each other, objects do so key by key, those in a list by their index; of anything
    else the last one counts."""
    said = [piece for piece in pieces if piece is not None]
    if not said:
        return None
    if all(isinstance(piece, str) for piece in said):
        return next(filter(None, said), "") if name in NAMES else "".join(said)
    if all(isinstance(piece, dict) for piece in said):
        values: dict[str, list[Any]] = {}
        for name, value in chain.from_iterable(piece.items() for piece in said):
            values.setdefault(name, []).append(value)
        return {name: join(same, name) for name, same in values.items()}
    if all(isinstance(piece, list) for piece in said):
        return _continued(list(chain.from_iterable(said)))
    return said[-1]


def _continued(items: list[Any]) -> list[Any]:
    if not all(isinstance(item, dict) and isinstance(item.get("index"), int) for item in items):
        return items
    bare = {
        index: [{name: value for name, value in item.items() if name != "index"} for item in same]
        for index, same in _by_index(items).items()
    }
    return [join(same) for _, same in sorted(bare.items())]


def _last_said(objects: Iterable[dict[str, Any]], omit: Sequence[str]) -> dict[str, Any]:
    """Return for each key the last value that is not empty: not null, "", 0, nor an object of such values."""
    found: dict[str, Any] = {}
    for document in objects:
        for name, value in document.items():
            if name not in omit and (name not in found or _says(value)):
                found[name] = value
    return found


def _says(value: Any) -> bool:
    return any(map(_says, value.values())) if isinstance(value, dict) else bool(value)


def _by_index(items: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    groups: dict[int, list[dict[str, Any]]] = {}
    for item in items:
        index = item.get("index")
        groups.setdefault(index if isinstance(index, int) else 0, []).append(item)
    return groups


def _choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    return tables(chunk.get("choices"))


def _object(frame: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(frame)
    except ValueError:  # invalid UTF-8, half of a surrogate pair: upstreams send them, decoders let them through
        document = loads(frame)
    return table(document)
