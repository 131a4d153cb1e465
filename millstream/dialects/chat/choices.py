"""The choices of an answer in OpenAI's chunks, and the call that each piece belongs to. Pure."""

from __future__ import annotations

import json

from millstream.dialects.chat.chunks import CallPiece, Chunk, Delta
from millstream.dialects.chat.chunks import Choice as Came
from millstream.dialects.foreign import loads, tables


class Choice:
    """`reason` is its finish_reason, as long as nothing of it came behind that: some servers send one with the first,
    empty chunk, and the model goes on."""

    __slots__ = ("_ids", "_places", "_used", "reason", "said")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.said = False
        self._places: dict[int | None, int] = {}  # the upstream's index → ours
        self._ids: dict[int | None, str | None] = {}
        self._used: list[int] = []

    def take(self, came: Came) -> tuple[Delta | None, list[int]]:
        """Return what is new in one chunk's choice, and the place of each piece of a call in it.

        A `delta` beats the `message` beside it. Where something has come, a `message` repeats it (MiniMax).
        """
        delta = came.delta or (came.message if not self.said else None)
        if delta is None and came.text:
            delta = Delta(came.text)
        says = False
        places: list[int] = []
        if delta is not None:
            places = [self._place(piece) for piece in delta.tool_calls or ()]
            says = bool(
                delta.content
                or delta.reasoning_content
                or delta.reasoning
                or delta.refusal
                or places
                or delta.function_call
            )
        self.said = self.said or says
        self.reason = came.finish_reason or (None if says else self.reason)
        return delta, places

    def _place(self, piece: CallPiece) -> int:
        """The call's index. Gemini gives each parallel call the index 0, and an id; some servers give no index."""
        at, id = piece.index, piece.id
        another = id != self._ids.get(at) if id else at is None
        # Older vLLM gives each piece of one call a new id; only the first piece has the name.
        if at not in self._places or (another and piece.function is not None and piece.function.name):
            free = at is not None and at not in self._used
            place = at if free and at is not None else max(self._used, default=-1) + 1
            self._used.append(place)
            self._places[at], self._ids[at] = place, id
        return self._places[at]


def corrected(payload: bytes, chunk: Chunk, said: list[bool], places: list[list[int]]) -> bytes:
    """The chunk as clients can read it: the payload itself, nearly always.

    `said` tells of each choice whether anything of it came before. A `message` of a server that doesn't stream
    becomes a `delta`; the index of each call is its place; what is no JSON has gone.
    """
    choices = chunk.choices or ()
    whole = any(choice.message is not None for choice in choices)
    if not whole and all(map(_in_place, choices, places)):
        return chunk.valid or payload
    document = loads(chunk.valid or payload)
    for choice, before, order in zip(tables(document.get("choices")), said, places, strict=False):
        message = choice.pop("message", None)
        if not isinstance(choice.get("delta"), dict):
            choice["delta"] = message if isinstance(message, dict) and not before else {}
        for call, place in zip(tables(choice["delta"].get("tool_calls")), order, strict=False):
            call["index"] = place
    if whole:
        document["object"] = "chat.completion.chunk"
    # In ASCII, so that each half of a surrogate pair stays valid in its own chunk.
    return json.dumps(document, separators=(",", ":")).encode()


def _in_place(choice: Came, places: list[int]) -> bool:
    calls = choice.delta.tool_calls if choice.delta is not None else None
    return not calls or [call.index for call in calls] == places
