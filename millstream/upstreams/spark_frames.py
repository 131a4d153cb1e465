"""One answer in Spark's frames → events. Pure. https://www.xfyun.cn/doc/spark/Web.html"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil
from typing import Any

import msgspec
from msgspec import Struct

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, EventType, Usage
from millstream.settings import Secret
from millstream.upstreams import estimate
from millstream.upstreams.quotation import quote
from millstream.upstreams.spark_codes import SENSITIVE, failure

LAST = 2  # of `status`


class Header(Struct):
    code: int = 0
    message: str = ""
    status: int | None = None


class Text(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    index: int | None = 0


class Choices(Struct):
    text: list[Text] | None = None
    status: int | None = None


class Tokens(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Counted(Struct):
    text: Tokens | None = None


class Payload(Struct):
    """`plugins` may stand here with no choices beside it."""

    choices: Choices | None = None
    usage: Counted | None = None


class Frame(Struct):
    header: Header
    payload: Payload | None = None
    exact: bool = True  # False where a text may hold half of a surrogate pair


_decode = msgspec.json.Decoder(Frame).decode


def read(message: str | bytes) -> Frame:
    """Raises ValueError where the message is no frame of Spark's."""
    try:
        return _decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _tolerate(message)


def _tolerate(message: str | bytes) -> Frame:
    """For what the strict decoder refuses: half surrogates, invalid UTF-8, fields of another type."""
    try:
        document = json.loads(message if isinstance(message, str) else message.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    header = _dict(document, "header")
    if not header:
        raise ValueError("no header")
    payload = _dict(document, "payload")
    choices, tokens = _dict(payload, "choices"), _dict(_dict(payload, "usage"), "text")
    texts = choices.get("text")
    return Frame(
        Header(_int(header, "code") or 0, _str(header, "message") or "", _int(header, "status")),
        Payload(
            Choices(
                [
                    Text(_str(text, "content"), _str(text, "reasoning_content"), _int(text, "index"))
                    for text in (texts if isinstance(texts, list) else [])
                    if isinstance(text, dict)
                ],
                _int(choices, "status"),
            ),
            Counted(Tokens(_int(tokens, "prompt_tokens"), _int(tokens, "completion_tokens"))),
        ),
        exact=False,
    )


class Decoder:
    """One answer's messages → events. Raises UpstreamError for codes, and for what is no frame."""

    def __init__(self, call: Call, upstream: str, secrets: Iterable[Secret] = ()) -> None:
        self.accepted = False  # a frame without an error has come
        self.done = False  # the last frame has come
        self._call = call
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._begun = False
        self._halves: dict[EventType, str] = {}  # surrogates that wait for their other half
        self._usage: Usage | None = None
        self._weight = 0.0

    def feed(self, message: str | bytes) -> list[Event]:
        """The last event is `done`; what follows is ignored."""
        if self.done:
            return []
        try:
            frame = read(message)
        except ValueError as error:
            raise self._gibberish(message) from error
        code = frame.header.code
        if code not in (0, SENSITIVE):
            raise failure(self._upstream, code, frame.header.message, self._secrets, self._begun)
        self.accepted = True
        choices = frame.payload and frame.payload.choices
        events = self._texts(choices.text or (), frame.exact) if choices else []
        if frame.payload and frame.payload.usage and frame.payload.usage.text:
            self._count(frame.payload.usage.text)
        self._begun = self._begun or bool(events)
        if code == SENSITIVE:  # the whole answer stands before it
            return [*events, *self._end("content_filter")]
        if frame.header.status == LAST or (choices and choices.status == LAST):
            return [*events, *self._end("stop")]
        return events

    def cut(self) -> UpstreamError:
        """For a connection that ended first."""
        when = "in the middle of its answer" if self.accepted else "before it answered"
        return UpstreamError("upstream_broke", f'upstream "{self._upstream}" broke off {when}. Ask again.')

    def _texts(self, texts: Iterable[Text], exact: bool) -> list[Event]:
        events: list[Event] = []
        for text in texts:
            if text.index:
                continue  # another candidate: one of the answers is shown
            if text.reasoning_content:
                events += self._event("reasoning", text.reasoning_content, exact)
            if text.content:
                events += self._event("message", text.content, exact)
        return events

    def _event(self, type: EventType, text: str, exact: bool) -> list[Event]:
        if not exact or self._halves:
            text = self._whole(type, text)
        if not text:
            return []
        self._weight += estimate.weight(text)
        return [Event(type, text)]

    def _whole(self, type: EventType, text: str) -> str:
        """Joins a pair of surrogates that was cut in two; one without the other becomes U+FFFD."""
        text = self._halves.pop(type, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[type] = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _count(self, tokens: Tokens) -> None:
        if tokens.prompt_tokens or tokens.completion_tokens:
            self._usage = Usage(max(tokens.prompt_tokens or 0, 0), max(tokens.completion_tokens or 0, 0))

    def _end(self, finish_reason: str) -> list[Event]:
        self.done = True
        halves = [Event(type, "\ufffd") for type in self._halves]
        usage = self._usage or Usage(
            estimate.prompt_tokens(self._call.messages), ceil(self._weight), source="estimated"
        )
        return [*halves, Event("done", end=End(self._call.model, self._upstream, finish_reason, usage))]

    def _gibberish(self, message: str | bytes) -> UpstreamError:
        said = quote(message if isinstance(message, str) else message.decode("utf-8", "replace"), self._secrets)
        says = f'upstream "{self._upstream}" sent what is no frame of Spark\'s: {said}. Check its base_url.'
        return UpstreamError("upstream_protocol", says)


def _dict(item: Any, name: str) -> dict[str, Any]:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, dict) else {}


def _str(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _int(item: dict[str, Any], name: str) -> int | None:
    value = item.get(name)
    try:
        return int(value) if isinstance(value, int | float | str) and abs(int(value)) < 2**53 else None
    except (ValueError, OverflowError):
        return None
