"""Events → OpenAI's chunks, of chats or of legacy completions:
https://platform.openai.com/docs/api-reference/chat-streaming"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from millstream.events import Event, Meta, Piece, Usage
from millstream.formats import Abort, EventStream
from millstream.formats.objects import ending, one_line, to_json

# In Meta.echo: the question offered them, in the words before `tools`; it wants the chunk for the usage.
FUNCTIONS, USAGE = "functions", "usage"


class Chunks:
    """The chunks of one answer: the upstream's, otherwise chunks made from events.

    The first chunk names the role. The last ones have the finish_reason and, without choices, the usage."""

    def __init__(self, meta: Meta, chat: bool = True) -> None:
        self._chat = chat
        self._functions = FUNCTIONS in meta.echo
        self._passing = False
        self._begun = not self._chat
        self._named: set[int] = set()  # the calls that have an id
        self._id = meta.id
        self._head = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{meta.id}",
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "created": int(meta.created),
            "model": meta.model,
        }

    def of(self, event: Event) -> list[bytes]:
        """A `done` gives the last ones; a `failed` none."""
        if event.frames or self._passing:
            self._passing = True
            return list(event.frames)
        if event.type == "failed":
            return []
        chunks = []
        if not self._begun:
            self._begun = True
            chunks.append(self._choice({"role": "assistant", "content": ""}, event.choice))
        if event.type == "done":
            return chunks + self._end(event)
        said = self._said(event)
        return [*chunks, self._choice(said, event.choice)] if said else chunks

    def _said(self, event: Event) -> dict[str, Any]:
        if event.type == "call" and event.call is not None:
            call = event.call
            called = {**({"name": call.name} if call.name else {}), "arguments": event.text}
            if self._functions:
                return {"function_call": called}
            return {"tool_calls": [{"index": call.index, **self._name(call), "function": called}]}
        if event.type == "reasoning":
            return {"reasoning_content": event.text} if event.text else {}
        if not self._chat:
            return {"text": event.text}
        return {"refusal" if event.refusal else "content": event.text}

    def _name(self, call: Piece) -> dict[str, Any]:
        """Return a call's name and id, once for each call. A call without an id gets one."""
        if call.index in self._named:
            return {}
        self._named.add(call.index)
        return {"id": call.id or f"call_{self._id}_{call.index}", "type": "function"}

    def _end(self, event: Event) -> list[bytes]:
        reason = (event.end.finish_reason if event.end else None) or "stop"
        if reason == "cancelled":
            return []
        if reason == "tool_calls" and self._functions:
            reason = "function_call"
        last = [self._choice({}, 0, reason)]
        if event.end and event.end.usage:
            last.append(to_json({**self._head, "choices": [], "usage": tokens(event.end.usage)}))
        return last

    def _choice(self, says: dict[str, Any], index: int, finish_reason: str | None = None) -> bytes:
        said = {"delta": says} if self._chat else {"text": "", **says}
        choice = {"index": index, **said, "logprobs": None, "finish_reason": finish_reason}
        return to_json({**self._head, "choices": [choice]})


class Writer(EventStream):
    """The event stream. It ends with [DONE], or after a failure with the error and nothing else."""

    NAME: ClassVar[str] = "openai"

    def __init__(self, meta: Meta, chat: bool = True) -> None:
        self._chunks = Chunks(meta, chat)
        self._usage = USAGE in meta.echo  # the chunk that has no choices

    def encode(self, batch: list[Event]) -> bytes:
        return b"".join([self._encode(chunk) for event in batch for chunk in self._chunks.of(event)])

    def closing(self, event: Event) -> bytes | Abort:
        last = self.encode([event])
        return last + (b"data: [DONE]\n\n" if event.type == "done" else b"data: %b\n\n" % to_json(ending(event)))

    def _encode(self, chunk: bytes) -> bytes:
        # `find` is 60 ns faster than `in`, which raises and catches an error first.
        if not self._usage and chunk.find(b'"usage"') >= 0 and _has_only_usage(chunk):
            return b""
        return b"data: %b\n\n" % one_line(chunk)  # most clients take one `data:` line for the whole of it


def tokens(usage: Usage) -> dict[str, Any]:
    """The usage in OpenAI's fields."""
    said: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    if usage.cached:
        said["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning:
        said["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return said


class _Chunk(Struct):
    choices: list[msgspec.Raw] | None = None
    usage: dict[str, Any] | None = None


def _has_only_usage(frame: bytes) -> bool:
    try:
        chunk = msgspec.json.decode(frame, type=_Chunk)
    except (ValueError, RecursionError):  # whatever it is, it is not ours to keep back
        return False
    return not chunk.choices and bool(chunk.usage)
