"""The values that pass through Millstream: upstream → Event → store → format → client."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from millstream.question import Question

EventType = Literal["message", "reasoning", "call", "done", "failed"]
TERMINAL = ("done", "failed")

# The API that a question came through: /chat; OpenAI's "openai" and "completions"; the name of a dialect; or, for
# a JSON call that is passed on unchanged, its path under the upstream's base_url.
Api = str


class Usage(Struct, frozen=True, omit_defaults=True):
    """The tokens of one answer: `input` for the prompt, `output` for the answer. `cached` is the part of the input
    that was read from a cache, `reasoning` the part of the output that the model spent on thinking."""

    input: int
    output: int
    source: Literal["upstream", "estimated"] = "upstream"
    cached: int = 0
    reasoning: int = 0


COUNTED = ("input", "output", "cached", "reasoning")
MOST_TOKENS = 10**9  # per answer; an upstream may report any number


def believable(usage: Usage | None) -> Usage | None:
    """Limit each number to a plausible range. A value of 2^63 would break the log, the sums and the ledger."""
    if usage is None:
        return None
    numbers = {name: max(0, min(getattr(usage, name), MOST_TOKENS)) for name in COUNTED}
    return replace(usage, **numbers)


class Failure(Struct, frozen=True, omit_defaults=True):
    """The reason why a stream failed. errors.py lists the codes.

    Visitors read `message`. `operator` is the full explanation, if visitors may not read it. `retry_after` is the
    header Retry-After in seconds, for a client that still waits for a status. `upstream_status` is the HTTP status of
    the upstream's answer. `paid` means that a retry may be billed again.
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
    """The result of a stream. `failure` is set in a `failed` event only; `cost` is a decimal number as text.

    `first_token` and `duration` are seconds since the stream's start. They stand here for the ledger: if the worker
    dies, another worker writes the ledger's row from the log alone.
    """

    model: str
    upstream: str
    finish_reason: str | None = None
    usage: Usage | None = None
    cost: str | None = None
    currency: str | None = None
    failure: Failure | None = None
    first_token: float | None = None
    duration: float | None = None
    stop_sequence: str | None = None  # the sequence that ended the answer, if the upstream names it


class Piece(Struct, frozen=True, omit_defaults=True, gc=False):
    """The tool call that an event of type `call` belongs to. `index` counts 0, 1 … in one answer. At least the call's
    first event has `id` and `name`. `custom` means that the arguments are free text, not JSON."""

    index: int
    id: str = ""
    name: str = ""
    custom: bool = False


class Event(Struct, frozen=True, omit_defaults=True, gc=False):  # it can't be part of a reference cycle
    """One thing that happened in a stream.

    `text` is valid Unicode, never half of a surrogate pair; in a `call` it is a piece of the arguments. `end`
    belongs to `done` and `failed`. `n` counts 1, 2, … without gaps within a stream; 0 means not numbered yet.

    `frames` are the upstream's original frames, kept if client and upstream speak the same dialect. A frame without
    an event of its own travels with the next event. A `message` with `refusal` explains why the model won't answer.

    `signature` closes the `reasoning` before it. It is sent back byte for byte, but only to the dialect that made it
    (`origin`). A thought that is `redacted` has a signature and no text. `choice` is above 0 only if the client asked
    for several answers.
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
    """One question, checked and ready to ask.

    `caller` owns the stream; `grace` is in seconds; `via` is the client's format and transport, for the metrics.
    `passing` means that the client accepts the original frames of an upstream that speaks its dialect.

    `preset` is the preset's name, "none" if the client wants none, and "" if the server has none. `hidden` counts the
    characters that the preset added. `prompt` is the estimated number of tokens, 0 before the estimate. `headers` are
    the client's, for an upstream of the same dialect. `echo` and `kept` are copied into the Meta.
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
        """Return the path of a JSON call that is passed on unchanged; "" for a question."""
        return self.api if self.api.startswith("/") else ""

    def to(self, model: str) -> Call:
        return replace(self, question=replace(self.question, model=model))


class Meta(Struct, frozen=True, omit_defaults=True):
    """The facts of a stream at its start: the first record of its log.

    `owner` is the caller, `worker` the process that reads the upstream. `fingerprint` is a digest of the request,
    `claim` a digest of caller and Idempotency-Key. `messages` are kept only for streams of the HTML form, so that a
    reload shows the question again. `created` is Unix time in seconds.

    `upstream` is the one that is asked first. `prompt` and `via` are the Call's. `echo` holds the fields of the
    question that the dialect repeats in its answer. `kept` is the question itself, if the client wants it stored.
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
    """Return the event with the operator's full explanation of a failure."""
    if event.end is None or event.end.failure is None:
        return event
    return replace(event, end=replace(event.end, failure=event.end.failure.to_operator()))


def number(batch: list[Event], after: int) -> list[Event]:
    """Return the same events, numbered after+1, after+2, …"""
    if len(batch) == 1:
        return [replace(batch[0], n=after + 1)]
    return [replace(event, n=n) for n, event in enumerate(batch, after + 1)]
