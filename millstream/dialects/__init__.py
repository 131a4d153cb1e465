"""The APIs that programs speak, called dialects. Each has a folder: question, answer, failure, models. All are
pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from millstream.dialects.blocks import Blocks
from millstream.dialects.foreign import Object
from millstream.errors import MillstreamError
from millstream.events import Event, Meta
from millstream.formats import Format
from millstream.question import Question


class Refusal(Struct, frozen=True):
    """An error before the first byte, as a dialect writes it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


class Read(Protocol):
    """Read the question in a client's body. Raises RequestError, which names the field."""

    def __call__(self, body: Object, /) -> Question: ...


class Write(Protocol):
    """Make the Format that writes an answer. Its bytes depend on `meta` and the log alone, so every replay is
    equal."""

    def __call__(self, meta: Meta, /) -> Format: ...


class Whole(Protocol):
    """Write the whole answer, unstreamed, from the events of a log that ends with `done`."""

    def __call__(self, meta: Meta, events: Sequence[Event], /) -> Object: ...


def of_blocks(write: Callable[[Meta, Blocks, Event], Object]) -> Whole:
    """Write an answer from its blocks and its last event."""
    return lambda meta, events: write(meta, Blocks(meta.id).whole(events), events[-1])


class Recalled(Struct, frozen=True):
    """An earlier stream of the same caller, as far as it has come; `event` is the terminal one."""

    meta: Meta
    blocks: Blocks
    event: Event | None


Recall = Callable[[str], Recalled | None]  # by the stream's id; None if it is absent or another caller's


class Dialect(Struct, frozen=True, kw_only=True):
    """One API that programs can speak. `name` is the `api` of its streams. Clients POST questions to `path`. `under`
    lists the beginnings of all its addresses; errors there have its shape. All other fields are optional:

    - `whole`: write the answer in one piece;
    - `at_once`: answer a body that needs no upstream; gets the time, too;
    - `expand`: insert what a body refers to;
    - `echo`: the part of the question that the answer repeats; `kept`: the part that is stored;
    - `chat`: the name by which a conversation's newest answer is found;
    - `once`: the same question in the same conversation is a retry, and gets the same answer;
    - `detached`: the answer continues without a follower; unstreamed requests get the result of `begun`;
    - `aliases`: other names of a model;
    - `known_as`: the id by which clients ask for an answer again;
    - `known`: the only fields of a body that are decoded;
    - `repeats`: a client that asks the same again after a cut gets the same answer. Without it, an answer ends when
      its client leaves, unless the request has an Idempotency-Key;
    - `via`: the dialect's name in metrics; `id_prefix`: the text before the id of an answer in a header;
    - `passed_headers`: request headers that an upstream of the same dialect needs to read the body.
    """

    name: str
    path: str
    under: Sequence[str]
    read: Read
    write: Write
    refuse: Callable[[MillstreamError, str], Refusal]
    whole: Whole | None = None
    at_once: Callable[[Object, float], Object | None] = lambda body, now: None
    expand: Callable[[Object, Recall], Object] = lambda body, recall: body
    echo: Callable[[Question], Object] = lambda question: {}
    kept: Callable[[Question], list[Object] | None] = lambda question: None
    chat: Callable[[Question], str] = lambda question: ""
    once: Callable[[Question], bool] = lambda question: False
    detached: Callable[[Question], bool] = lambda question: False
    begun: Callable[[Meta], Object] = lambda meta: {}
    known_as: Callable[[Meta], str] = lambda meta: ""
    aliases: Callable[[str], Sequence[str]] = lambda name: (name,)
    headers: Mapping[str, str] = {}
    id_headers: Sequence[str] = ("x-request-id",)
    id_prefix: str = "req_"
    known: Collection[str] | None = None
    repeats: bool = True
    via: tuple[str, str] | None = None
    passed_headers: Sequence[str] = ()
