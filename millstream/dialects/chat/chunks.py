"""One chunk of OpenAI's chat completions, or of the legacy completions, read.

https://platform.openai.com/docs/api-reference/chat-streaming, …/completions
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, defstruct

from millstream.dialects.foreign import Object, loads, string, table, tables, whole
from millstream.dialects.reading import count
from millstream.dialects.reasons import SUCCESS
from millstream.events import Usage


class Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallPiece(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: Function | None = None


class Details(Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Tokens(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class Choice(Struct, gc=False):
    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None  # of a server that doesn't stream
    finish_reason: str | None = None
    text: str | None = None  # of the legacy API
    usage: Tokens | None = None  # Moonshot's place for it


class Groq(Struct, gc=False):
    usage: Tokens | None = None


class Chunk(Struct, gc=False):
    """The fields of a chunk that we read. `exact` is False where a text may hold half of a surrogate pair. `valid`
    is what may be passed on where the payload has NaN or an infinity in it, which no JSON has: null instead."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    x_groq: Groq | None = None
    model: str | None = None
    error: Any = None
    code: Any = None
    exact: bool = True
    valid: bytes | None = None

    @property
    def failed(self) -> bool:
        return bool(self.error) or self.code not in SUCCESS

    def only_text(self) -> str | None:
        """A piece of the first choice's text, if there is nothing else in it."""
        choices = self.choices
        if not choices or (delta := choices[0].delta) is None or not delta.content:
            return None
        plain = Chunk([Choice(0, Delta(delta.content))], model=self.model)
        return delta.content if self == plain else None

    def counted(self) -> Usage | None:
        """The usage, wherever it stands and if it says anything."""
        groq = self.x_groq.usage if self.x_groq is not None else None
        places = (self.usage, groq, *[choice.usage for choice in self.choices or ()])
        return next((usage for place in places if place is not None and (usage := _usage(place))), None)


def _bare(kind: type[Struct], field: str, type: Any, **optional: Any) -> Any:
    """`kind` with this field and the optional ones, each a type and a default. All others are absent or null; else
    it can't be decoded."""
    others = {name: (None, None) for name in kind.__struct_fields__ if name != field} | optional
    fields = [(name, *found) for name, found in others.items()]
    return defstruct(f"Bare{kind.__name__}", [(field, type), *fields], gc=False)


_BareDelta = _bare(Delta, "content", Annotated[str, Meta(min_length=1)])
_BareChoice = _bare(Choice, "delta", _BareDelta, index=(Literal[0], 0))
_BareChunk = _bare(Chunk, "choices", tuple[_BareChoice], model=(str | None, None))  # type: ignore[valid-type]
_decode = msgspec.json.Decoder(Chunk).decode
_bare_chunk = msgspec.json.Decoder(_BareChunk)
_decode_bare, _decode_bares = _bare_chunk.decode, _bare_chunk.decode_lines


def read_text(payload: bytes) -> tuple[str, str | None] | None:
    """Text and model of a chunk that is `only_text`, in half the time of `read`; None where it may be another."""
    try:
        chunk: Any = _decode_bare(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return chunk.choices[0].delta.content, chunk.model


def read_texts(lines: bytes, count: int) -> tuple[list[str], str | None] | None:
    """The same of many chunks at once, one a line; None where one of them may be another."""
    try:
        found: list[Any] = _decode_bares(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(found) != count:
        return None
    return [chunk.choices[0].delta.content for chunk in found], found[-1].model


def read(payload: bytes) -> Chunk:
    """Raises ValueError where the payload is no JSON object."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _tolerate(payload)


def _tolerate(payload: bytes) -> Chunk:
    """Decode what the strict decoder refuses: half surrogates, invalid UTF-8, NaN, fields of another type."""
    unlike: list[str] = []
    document = loads(payload, unlike.append)
    if not isinstance(document, dict):
        raise ValueError("no object")
    choices = document.get("choices")
    return Chunk(
        list(map(_choice, tables(choices))) if isinstance(choices, list) else None,
        _tokens(document.get("usage")),
        Groq(_tokens(table(document.get("x_groq")).get("usage"))),
        string(document.get("model")),
        document.get("error"),
        document.get("code"),
        exact=False,
        valid=json.dumps(document, separators=(",", ":")).encode() if unlike else None,
    )


def _choice(item: Object) -> Choice:
    return Choice(
        whole(item.get("index")),
        _delta(item.get("delta")),
        _delta(item.get("message")),
        string(item.get("finish_reason")),
        string(item.get("text")),
        _tokens(item.get("usage")),
    )


def _delta(item: Any) -> Delta | None:
    if not isinstance(item, dict):
        return None
    content = item.get("content")
    return Delta(
        text_in(content),
        string(item.get("reasoning_content")) or thought_in(content),
        string(item.get("reasoning")),
        string(item.get("refusal")),
        list(map(_call, tables(item.get("tool_calls")))),
        _function(item.get("function_call")),
    )


def _call(item: Object) -> CallPiece:
    return CallPiece(whole(item.get("index")), string(item.get("id")), _function(item.get("function")))


def _function(item: Any) -> Function | None:
    if not isinstance(item, dict):
        return None
    arguments = item.get("arguments")
    if isinstance(arguments, dict):  # Ollama's are an object
        arguments = json.dumps(arguments, ensure_ascii=False)
    return Function(string(item.get("name")), string(arguments))


def text_in(content: object) -> str:
    """The answer in a `content`, which Mistral gives as a list of parts while the model thinks."""
    return string(content) or "".join(text_in(part.get("text")) for part in tables(content))


def thought_in(content: object) -> str:
    """The thoughts in such a list: `{"type": "thinking", "thinking": [{"type": "text", "text": …}]}`."""
    return "".join(text_in(part.get("thinking")) for part in tables(content))


def _tokens(item: Any) -> Tokens | None:
    if not isinstance(item, dict):
        return None
    return Tokens(
        whole(item.get("prompt_tokens")),
        whole(item.get("completion_tokens")),
        whole(item.get("total_tokens")),
        _details(item.get("prompt_tokens_details")),
        _details(item.get("completion_tokens_details")),
    )


def _details(item: Any) -> Details:
    counted = table(item)
    return Details(whole(counted.get("cached_tokens")), whole(counted.get("reasoning_tokens")))


def _usage(tokens: Tokens) -> Usage | None:
    asked, came, total = map(count, (tokens.prompt_tokens, tokens.completion_tokens, tokens.total_tokens))
    if not (asked or came):
        return None
    cached = tokens.prompt_tokens_details and tokens.prompt_tokens_details.cached_tokens
    thought = tokens.completion_tokens_details and tokens.completion_tokens_details.reasoning_tokens
    # xAI counts reasoning tokens outside completion_tokens, but in the total.
    came = max(came, total - asked)
    return Usage(asked, came, cached=min(count(cached), asked), reasoning=min(count(thought), came))
