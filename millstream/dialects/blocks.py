"""Turn events into the blocks of an answer: texts, thoughts and calls, each opened, continued and closed in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from millstream.events import End, Event, Meta, Piece

Kind = Literal["text", "refusal", "reasoning", "redacted", "call"]
Step = tuple[Literal["open", "piece", "close"], "Block", str]

# Some upstreams report `stop` although they call a tool.
CALLED = ("stop", "function_call", None)


class Block(Struct):
    """`pieces` are all that came of it; of a call those of its arguments. `call` has its id and name."""

    index: int
    kind: Kind
    pieces: list[str] = []
    signature: str = ""
    origin: str = ""
    call: Piece | None = None
    size: int = 0  # characters of the pieces
    again: int = 0  # the size from which on it is worth looking whether a call is whole
    waits: bool = False  # a call, until another one is whole
    over: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def id(self) -> str:
        return self.call.id if self.call else ""

    @property
    def name(self) -> str:
        return self.call.name if self.call else ""

    @property
    def input(self) -> dict[str, Any]:
        """A call's arguments as an object; {} where they are none, or were cut."""
        found = loads(self.text)
        return found if isinstance(found, dict) else {}


class Blocks:
    """The blocks of one answer. At most one block is open: a call waits until the arguments of the call before are
    complete. A call without an id gets one, made from the stream's `id`. `frames` are the upstream's frames of the
    added events."""

    def __init__(self, id: str) -> None:
        self.blocks: list[Block] = []
        self.frames: list[bytes] = []
        self._id = id
        self._open: Block | None = None
        self._calls: dict[int, Block] = {}
        self._waiting: deque[Block] = deque()

    def feed(self, event: Event) -> Iterator[Step]:
        """Yield which block begins, grows or ends, and the text that it gets."""
        if event.choice:
            return
        if event.type == "message":
            yield from self._text("refusal" if event.refusal else "text", event)
        elif event.type == "reasoning":
            yield from self._text("redacted" if event.redacted else "reasoning", event)
        elif event.type == "call" and event.call is not None:
            yield from self._called(event.call, event.text)

    def close(self) -> Iterator[Step]:
        """The answer is over."""
        yield from self._end()

    def add(self, events: Iterable[Event]) -> Blocks:
        """Add a batch without writing it, for callers that want the blocks alone."""
        for event in events:
            self.frames += event.frames
            for _ in self.feed(event):
                pass
        return self

    def whole(self, events: Iterable[Event] = ()) -> Blocks:
        """The same once all events are there."""
        self.add(events)
        for _ in self.close():
            pass
        return self

    def reason(self, end: End) -> str:
        """Return why the answer ended, as OpenAI's finish_reason."""
        called = any(block.kind == "call" for block in self.blocks)
        return "tool_calls" if called and end.finish_reason in CALLED else end.finish_reason or "stop"

    # -- steps --------------------------------------------------------------------------------------------------

    def _text(self, kind: Kind, event: Event) -> Iterator[Step]:
        block = self._open
        if block is None or block.kind != kind or kind == "redacted" or block.signature:
            if not (event.text or event.signature):
                return
            yield from self._end()
            block = Block(0, kind)
            block.signature, block.origin = (event.signature, event.origin) if kind == "redacted" else ("", "")
            yield self._begin(block)
        if event.text:
            block.pieces.append(event.text)
            yield "piece", block, event.text
        if event.signature and kind == "reasoning":
            block.signature, block.origin = event.signature, event.origin

    def _called(self, piece: Piece, text: str) -> Iterator[Step]:
        block = self._calls.get(piece.index)
        if block is None:
            named = Piece(piece.index, piece.id or f"call_{self._id}_{piece.index}", piece.name, piece.custom)
            block = self._calls[piece.index] = Block(0, "call", call=named)
            if self._open is not None and self._open.kind == "call" and not whole(self._open):
                block.waits = True
                self._waiting.append(block)
            else:
                yield from self._end()
                yield self._begin(block)
        if block.over:
            return  # it was whole already
        if text:
            block.pieces.append(text)
            block.size += len(text)
        if not block.waits:
            if text:
                yield "piece", block, text
        elif self._open is not None and whole(self._open):
            yield from self._next()

    def _begin(self, block: Block) -> Step:
        block.index = len(self.blocks)
        self.blocks.append(block)
        self._open = block
        return "open", block, ""

    def _end(self) -> Iterator[Step]:
        """Closes what is open, and gives what waits."""
        while self._open is not None:
            yield from self._next()

    def _next(self) -> Iterator[Step]:
        if self._open is not None:
            self._open.over = True
            block, self._open = self._open, None
            yield "close", block, ""
        if self._waiting:
            block = self._waiting.popleft()
            block.waits = False
            yield self._begin(block)
            if block.pieces:
                yield "piece", block, block.text


class Steps:
    """The common part of Writers that write an answer in blocks."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._blocks = Blocks(meta.id)
        self._passing = False

    def encode(self, batch: list[Event]) -> bytes:
        return b"".join(map(self._encode, batch))

    def _encode(self, event: Event) -> bytes:
        """An upstream of the same dialect gives frames, which pass as they came."""
        if event.frames or self._passing:
            self._passing = True
            deque(self._blocks.feed(event), 0)
            return b"".join(map(self._pass, event.frames))
        return b"".join([self._step(*step) for step in self._blocks.feed(event)])

    def _pass(self, frame: bytes) -> bytes:
        raise NotImplementedError

    def _rest(self) -> bytes:
        return b"".join([self._step(*step) for step in self._blocks.close()])

    def _step(self, verb: str, block: Block, text: str) -> bytes:
        raise NotImplementedError


def whole(call: Block) -> bool:
    """Check that the arguments are a whole JSON document: nothing more may come. Long ones are looked at again once
    they have grown by an eighth, so that all looks together take no longer than a few."""
    if call.size < call.again:
        return False
    call.again = call.size + max(1, call.size // 8 if call.size > 1024 else 0)
    return loads(call.text) is not None


def loads(text: str) -> Any:
    """Decode JSON; return None if it is not valid."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
