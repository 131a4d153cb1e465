"""Events → an answer in Ollama's lines: https://docs.ollama.com/api/chat"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from millstream.dialects.blocks import Block, Blocks, Steps
from millstream.dialects.chat.whole import join
from millstream.dialects.dates import rfc3339
from millstream.dialects.fields import MODEL_MOST
from millstream.dialects.foreign import Object, read, tables
from millstream.dialects.ollama.question import CHAT, GENERATE
from millstream.events import End, Event, Meta, Usage
from millstream.formats import Abort
from millstream.formats.objects import failure_of, to_json

NANOSECONDS = 1_000_000_000


class Writer(Steps):
    """A line for each piece; a call only when it is whole. An empty line would kill its clients. Where Ollama
    itself answers, its own lines pass as they came."""

    NAME: ClassVar[str] = CHAT
    MEDIA_TYPE: ClassVar[str] = "application/x-ndjson"
    CONTENT_TYPE: ClassVar[str] = "application/x-ndjson"

    def __init__(self, meta: Meta) -> None:
        super().__init__(meta)
        self._calls = 0

    @property
    def HEARTBEAT(self) -> bytes:  # noqa: N802
        return _line(piece(self._meta, {"text": ""}))

    def opening(self) -> bytes:
        return b""

    def closing(self, event: Event) -> bytes | Abort:
        if event.type == "failed":  # some of its clients pass over the error: for them the connection breaks
            return Abort(_line({"error": failure_of(event).message}))
        if event.frames:
            return self._encode(event)
        return self._rest() + _line(piece(self._meta, {"text": ""}) | _ending(self._blocks, event))

    def _pass(self, frame: bytes) -> bytes:
        return frame + b"\n"

    def _step(self, verb: str, block: Block, text: str) -> bytes:
        if block.kind == "call":
            if verb != "close":
                return b""
            self._calls += 1
            return _line(piece(self._meta, {"text": "", "calls": [_call(block, self._calls - 1)]}))
        if verb != "piece":
            return b""
        says = {"text": "", "thinking": text} if block.kind == "reasoning" else {"text": text}
        return _line(piece(self._meta, says))


def whole(meta: Meta, blocks: Blocks, event: Event) -> Object:
    """The answer in one object. Where Ollama itself answers, it is its last line, with what all lines say."""
    if blocks.frames:
        return assemble([read(frame) for frame in blocks.frames])
    said: dict[str, str] = {"call": "", "redacted": "", "reasoning": "", "text": "", "refusal": ""}
    for block in blocks.blocks:
        said[block.kind] += block.text
    calls = [block for block in blocks.blocks if block.kind == "call"]
    says: Object = {"text": said["text"] + said["refusal"]}
    if said["reasoning"]:
        says["thinking"] = said["reasoning"]
    if calls:
        says["calls"] = [_call(block, number) for number, block in enumerate(calls)]
    return piece(meta, says) | _ending(blocks, event)


def assemble(lines: list[Object]) -> Object:
    """Make one line of many: their messages continue each other, of the rest the last line counts."""
    message = join(tables([line.get("message") for line in lines])) or {}
    return {**{name: value for line in lines for name, value in line.items()}, "message": message}


def settled(api: str, body: Object, now: float) -> Object | None:
    """The answer to a body that asks nothing: Ollama loads the model then, or unloads it."""
    if body.get("messages") or body.get("prompt"):
        return None
    reason = "unload" if body.get("keep_alive") in (0, "0", "0s") else "load"
    meta = Meta("", "", "", now, str(body.get("model"))[:MODEL_MOST], api)
    return piece(meta, {"text": ""}) | {"done": True, "done_reason": reason}


def piece(meta: Meta, says: Object) -> Object:
    """Return the object of one line."""
    head = {"model": meta.model, "created_at": rfc3339(meta.created)}
    thinking = {"thinking": says["thinking"]} if "thinking" in says else {}
    return {**head, **SAYS[meta.api](says, thinking), "done": False}


def _in_a_message(says: Object, thinking: Object) -> Object:
    calls = {"tool_calls": says["calls"]} if "calls" in says else {}
    return {"message": {"role": "assistant", "content": says["text"], **thinking, **calls}}


SAYS: dict[str, Callable[[Object, Object], Object]] = {
    CHAT: _in_a_message,
    GENERATE: lambda says, thinking: {"response": says["text"], **thinking},
}


def _call(block: Block, index: int) -> Object:
    return {"id": block.id, "function": {"index": index, "name": block.name, "arguments": block.input}}


def _ending(blocks: Blocks, event: Event) -> Object:
    end = event.end or End("", "")
    usage = end.usage or Usage(0, 0)
    duration = round((end.duration or 0) * NANOSECONDS)
    first = min(round((end.first_token or 0) * NANOSECONDS), duration)
    return {
        "done": True,
        "done_reason": "length" if blocks.reason(end) == "length" else "stop",
        "total_duration": duration,
        "load_duration": 0,
        "prompt_eval_count": usage.input,
        "prompt_eval_duration": first,
        "eval_count": usage.output,
        "eval_duration": duration - first,
    }


def _line(document: Object) -> bytes:
    return to_json(document) + b"\n"
