"""How programs write questions and answers. One folder a dialect: question, answer, failure, models; all pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from millstream.dialects.blocks import Blocks
from millstream.errors import MillstreamError
from millstream.events import Event, Meta
from millstream.formats import Format
from millstream.question import Question

Object = dict[str, Any]


class Refusal(Struct, frozen=True):
    """An error before the first byte, as a dialect writes it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


class Read(Protocol):
    """The question in a client's body. Raises RequestError that names the field."""

    def __call__(self, body: Object, /) -> Question: ...


class Write(Protocol):
    """A Format that writes an answer. It is a function of `meta` and the log alone, so each replay gives the same
    bytes."""

    def __call__(self, meta: Meta, /) -> Format: ...


class Whole(Protocol):
    """The answer unstreamed: of the events of a log, the last of them `done`."""

    def __call__(self, meta: Meta, events: Sequence[Event], /) -> Object: ...


def of_blocks(write: Callable[[Meta, Blocks, Event], Object]) -> Whole:
    """Write an answer from its blocks and its last event."""
    return lambda meta, events: write(meta, Blocks(meta.id).whole(events), events[-1])


class Recalled(Struct, frozen=True):
    """A stream of the same caller's, as far as it has come; `event` is its terminal one."""

    meta: Meta
    blocks: Blocks
    event: Event | None


Recall = Callable[[str], Recalled | None]  # by the stream's id; None where there is none, or somebody else's


class Dialect(Struct, frozen=True, kw_only=True):
    """One door. `name` is the `api` of its streams; questions are POSTed to `path`; `under` are the beginnings of all
    its addresses, where errors have its shape. Beside reading and writing it may say

    - `whole`: the answer in one piece, if there is one;
    - `at_once`: what a body is answered with that asks nothing, and with the time;
    - `expand`: puts into a body what it refers to;
    - `echo`: what the answer repeats of the question, `kept`: what is to be kept of it;
    - `chat`: the name under which the newest answer of a conversation is found;
    - `once`: the same question in that conversation can only be a repeat, which gets the same answer;
    - `detached`: it goes on though nobody follows it, and unstreamed is answered with what `begun` gives;
    - `aliases`: other names of a model;
    - `known_as`: the id by which its clients ask for an answer again;
    - `known`: the only fields of a body that are decoded;
    - `repeats`: whoever asks the same again after a cut gets the same answer; else an answer ends with its client,
      unless that can come back with an Idempotency-Key;
    - `via`: the operator's name for it, and `id_prefix` what stands before the id of an answer in a header;
    - `passed_headers`: those of a request that say how its body is to be read, for an upstream of the same dialect.
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
