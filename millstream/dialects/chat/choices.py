"""The choices of an answer in OpenAI's chunks, and the call that each piece belongs to. Pure."""

from __future__ import annotations

import json

from millstream.dialects.chat.chunks import text_in, thought_in
from millstream.dialects.foreign import Object, string, table, tables, whole


class Choice:
    """`reason` is its finish_reason, as long as nothing of it came behind that: some servers send one with the first,
    empty chunk, and the model goes on."""

    __slots__ = ("_ids", "_next", "_places", "_used", "reason", "said")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.said = False
        self._places: dict[int | None, int] = {}  # the upstream's index → ours
        self._ids: dict[int | None, str | None] = {}
        self._used: set[int] = set()
        self._next = 0  # behind all that are used

    def take(self, came: Object) -> tuple[Object | None, list[int]]:
        """Return what is new in one chunk's choice, and the place of each piece of a call in it.

        A `delta` beats the `message` beside it. Where something has come, a `message` repeats it (MiniMax). The
        legacy API has a `text`.
        """
        delta = came.get("delta")
        if not isinstance(delta, dict):
            delta = None if self.said else came.get("message")
        if not isinstance(delta, dict):
            text = string(came.get("text"))
            delta = {"content": text} if text else None
        places: list[int] = []
        says = False
        if delta is not None:
            places = [self._place(piece) for piece in tables(delta.get("tool_calls"))]
            says = bool(places or text_in(delta.get("content")) or thought_in(delta) or delta.get("refusal"))
            says = says or isinstance(delta.get("function_call"), dict)
        self.said = self.said or says
        self.reason = string(came.get("finish_reason")) or (None if says else self.reason)
        return delta, places

    def _place(self, piece: Object) -> int:
        """The call's index. Gemini gives each parallel call the index 0, and an id; some servers give no index."""
        at, id = whole(piece.get("index")), string(piece.get("id"))
        another = id != self._ids.get(at) if id else at is None
        # Older vLLM gives each piece of one call a new id; only the first piece has the name.
        if at not in self._places or (another and table(piece.get("function")).get("name")):
            free = at is not None and at not in self._used
            place = at if free and at is not None else self._next
            self._used.add(place)
            self._next = max(self._next, place + 1)
            self._places[at], self._ids[at] = place, id
        return self._places[at]


def corrected(payload: bytes, chunk: Object, said: list[bool], places: list[list[int]]) -> bytes:
    """The chunk as clients can read it: the payload itself, nearly always. Changes the chunk.

    `said` tells of each choice whether anything of it came before. A `message` of a server that doesn't stream
    becomes a `delta`; the index of each call is its place.
    """
    choices = tables(chunk.get("choices"))
    unstreamed = any(isinstance(choice.get("message"), dict) for choice in choices)
    if not unstreamed and all(map(_in_place, choices, places)):
        return payload
    for choice, before, order in zip(choices, said, places, strict=False):
        message = choice.pop("message", None)
        if not isinstance(choice.get("delta"), dict):
            choice["delta"] = message if isinstance(message, dict) and not before else {}
        for call, place in zip(tables(choice["delta"].get("tool_calls")), order, strict=False):
            call["index"] = place
    if unstreamed:
        chunk["object"] = "chat.completion.chunk"
    # In ASCII, so that each half of a surrogate pair stays valid in its own chunk.
    return json.dumps(chunk, separators=(",", ":")).encode()


def _in_place(choice: Object, places: list[int]) -> bool:
    return [call.get("index") for call in tables(table(choice.get("delta")).get("tool_calls"))] == places
