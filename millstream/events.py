"""The values that flow through the house: upstream → Event → store → format → client."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from millstream.question import Question

EventType = Literal["message", "reasoning", "call", "done", "failed"]
TERMINAL = ("done", "failed")

# The door of a question: /chat; OpenAI's "openai" and "completions"; the name of a dialect; or the path
# under an upstream's base_url of a JSON call that is passed on as it came.
Api = str


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one answer: `input` for the prompt, `output` for what came. `cached` is the part of the input that
    was read from a cache, `reasoning` the part of the output that was thought."""

    input: int
    output: int
    source: Literal["upstream", "estimated"] = "upstream"
    cached: int = 0
    reasoning: int = 0


COUNTED = ("input", "output", "cached", "reasoning")
MOST_TOKENS = 10**9  # of one answer; an upstream says what it likes


def believable(usage: Usage | None) -> Usage | None:
    """The usage, each number within what can be: 2^63 would stop the log, the sums and the ledger."""
    if usage is None:
        return None
    numbers = {name: max(0, min(getattr(usage, name), MOST_TOKENS)) for name in COUNTED}
    return replace(usage, **numbers)


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why a stream failed: the body of the one error shape (see errors.py for the codes).

    `message` is for visitors, `operator` the whole of it, where that is not for them. `retry_after` is the header
    Retry-After, in seconds, for who asked and still awaits a status. `upstream_status` is what the upstream answered.
    `paid`: asking again may pay again.
    """

    message: str
    type: str
    code: str
    param: str | None = None
    retry_after: str | None = None
    operator: str = ""
    upstream: str = ""
    upstream_status: int | None = None
    paid: bool = False

    def to_operator(self) -> Failure:
        return replace(self, message=self.operator or self.message)


class End(Struct, frozen=True, omit_defaults=True):
    """How a stream ended. `failure` is set in a `failed` event only; `cost` is a decimal as text. `first_token` and
    `duration` are in seconds from the stream's start, for the ledger: what writes it down after a worker's death has
    the log alone."""

    model: str
    upstream: str
    finish_reason: str | None = None
    usage: Usage | None = None
    cost: str | None = None
    currency: str | None = None
    failure: Failure | None = None
    first_token: float | None = None
    duration: float | None = None
    stop_sequence: str | None = None  # the one that ended the answer, where the upstream says which


class Piece(Struct, frozen=True, omit_defaults=True, gc=False):
    """Which call of a tool an event of type `call` belongs to. `index` counts 0, 1 … in one answer; `id` and `name`
    come with the call's first event at least. `custom`: the arguments are free text, not JSON."""

    index: int
    id: str = ""
    name: str = ""
    custom: bool = False


class Event(Struct, frozen=True, omit_defaults=True, gc=False):  # no cycle can come about
    """One thing that happened in a stream.

    `text` is valid Unicode, never half of a surrogate pair; in a `call` it is a piece of the arguments. `end`
    belongs to `done` and `failed`. `n` counts 1, 2, … without gaps within a stream; 0 means not numbered yet.

    `frames` are the upstream's own, where client and upstream speak the same dialect; one that says nothing in these
    terms rides with the next event that does. A `message` with `refusal` is why the model won't answer. `signature`
    closes the `reasoning` before it, and goes back to the same dialect (`origin`) byte for byte; with `redacted` it
    is all there is of a thought. `choice` is above 0 only where several answers were asked for.
    """

    type: EventType = "message"
    text: str = ""
    end: End | None = None
    n: int = 0
    call: Piece | None = None
    frames: tuple[bytes, ...] = ()
    signature: str = ""
    origin: str = ""
    redacted: bool = False
    refusal: bool = False
    choice: int = 0


class Call(Struct, frozen=True):
    """One question, checked and ready to ask. `caller` owns the stream; `grace` is in seconds; `via` is the
    format and the transport that it was asked through, for the operator's figures.

    `passing`: the client takes the frames of an upstream that speaks its dialect. `preset` is the name of the
    question's, "none" if it wants none, "" where there are none; `hidden` are the characters of it that a preset put
    there. `prompt` is an estimate of its tokens, 0 before there is one. `headers`
    came with it, for an upstream of the same dialect. `echo` and `kept` go into the Meta.
    """

    question: Question
    caller: str = ""
    grace: float = 15.0
    api: Api = "chat"
    hidden: int = 0
    preset: str = ""
    prompt: int = 0
    via: tuple[str, str] = ("", "")
    passing: bool = False
    headers: dict[str, str] = {}
    echo: dict[str, Any] = {}
    kept: list[dict[str, Any]] | None = None

    @property
    def model(self) -> str:
        return self.question.model

    @property
    def path(self) -> str:
        """The path of a JSON call that is passed on as it came; "" for a question."""
        return self.api if self.api.startswith("/") else ""

    def to(self, model: str) -> Call:
        return replace(self, question=replace(self.question, model=model))


class Meta(Struct, frozen=True, omit_defaults=True):
    """The facts of a stream at its start: the first record of its log.

    `owner` is the caller, `worker` the process that pumps it. `fingerprint` is a digest of the request,
    `claim` the digest of caller and Idempotency-Key. `messages` are kept only for streams that the HTML
    form began, so that a reload draws the question again. `created` is Unix time in seconds. `upstream` is the
    one that is asked first, `prompt` an estimate of the question's tokens, `via` the Call's. `echo` is what the
    dialect says again of the question in its answer; `kept` the question itself, where its client wants it kept.
    """

    id: str
    owner: str
    worker: str
    created: float
    model: str
    api: Api = "chat"
    fingerprint: str = ""
    claim: str | None = None
    messages: list[dict[str, Any]] | None = None
    preset: str = ""
    upstream: str = ""
    prompt: int = 0
    via: tuple[str, str] = ("", "")
    echo: dict[str, Any] = {}
    kept: list[dict[str, Any]] | None = None


def to_operator(event: Event) -> Event:
    """The event as an operator may read it."""
    if event.end is None or event.end.failure is None:
        return event
    return replace(event, end=replace(event.end, failure=event.end.failure.to_operator()))


def number(batch: list[Event], after: int) -> list[Event]:
    """The same events, numbered after+1, after+2, …"""
    if len(batch) == 1:
        return [replace(batch[0], n=after + 1)]
    return [replace(event, n=n) for n, event in enumerate(batch, after + 1)]
