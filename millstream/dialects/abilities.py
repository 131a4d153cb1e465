"""The abilities of a dialect, and the refusal of everything else: 400 with the field's name."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from millstream.errors import RequestError
from millstream.question import Audio, File, Image, Question, Result, Text, ToolCall

# Field names in the dialects other than chat completions.
NAMES = {
    ("messages", "stop"): "stop_sequences",
    ("messages", "response_format"): "output_config.format",
    ("responses", "response_format"): "text.format",
    ("responses", "messages"): "input",
    ("ollama", "stop"): "options.stop",
    ("ollama", "response_format"): "format",
    ("ollama", "presence_penalty"): "options.presence_penalty",
    ("ollama", "frequency_penalty"): "options.frequency_penalty",
    ("completions", "messages"): "prompt",
}


class Abilities(Struct, frozen=True):
    """The abilities that only some dialects have. Hints are never refused: seed, top_k, effort, a budget for
    thinking, and parallel calls."""

    image: bool = True
    image_address: bool = True  # an http(s) address instead of the data
    file: bool = True
    file_address: bool = True
    audio: bool = False
    tools: bool = True  # and calls and results in the conversation
    forced_tool: bool = True  # tool_choice: required, or one by name
    shown_result: bool = True  # pictures in a tool's result
    stop: bool = True
    top_p: bool = True
    penalties: bool = False
    json_object: bool = True
    json_schema: bool = True


def check(question: Question, can: Abilities) -> None:
    """Raise RequestError (bad_field) for the first part of the question that the dialect can't express."""
    check_beyond(question)
    for ability, field in wanted(question):
        if not getattr(can, ability):
            raise cannot(question, field)


def check_beyond(question: Question) -> None:
    """Raise RequestError (bad_field) for a field that only upstreams of the question's own dialect support."""
    if question.beyond:
        raise cannot(question, question.beyond[0])


def named(question: Question, field: str) -> str:
    """Return the client's name for a field of chat completions."""
    return NAMES.get((question.dialect, field), field)


def cannot(question: Question, field: str) -> RequestError:
    name = named(question, field)
    says = (
        f"{name} asks for something that {question.model[:100]!r} can't do here; leave it out, or ask another model."
    )
    return RequestError("bad_field", says, param=name)


def wanted(question: Question) -> Iterator[tuple[str, str]]:
    """Give each ability that the question needs, and the field that needs it."""
    use, choice = question.options, question.choice.mode
    if question.tools and choice != "none":
        yield "tools", "tools"
    if choice in ("required", "tool"):
        yield "forced_tool", "tool_choice"
    for message in question.messages:
        for part in message.parts:
            yield from ((ability, "messages") for ability in _needs(part))
    if use.stop:
        yield "stop", "stop"
    if use.top_p not in (None, 1):
        yield "top_p", "top_p"
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(use, name):
            yield "penalties", name
    if use.shape is not None:
        yield use.shape.kind, "response_format"


def _needs(part: object) -> Iterator[str]:
    if isinstance(part, Image):
        yield "image"
        if not part.url.startswith("data:"):
            yield "image_address"
    elif isinstance(part, File):
        yield "file"
        if not part.url.startswith("data:"):
            yield "file_address"
    elif isinstance(part, Audio):
        yield "audio"
    elif isinstance(part, ToolCall):
        yield "tools"
    elif isinstance(part, Result):
        yield "tools"
        for inner in part.parts:
            if not isinstance(inner, Text):
                yield "shown_result"
                yield from _needs(inner)
