"""One answer in the events of Anthropic's Messages API → events. Pure.

https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil
from typing import Any

import msgspec

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, EventType, Usage
from millstream.settings import Secret
from millstream.upstreams import estimate
from millstream.upstreams.quotation import quote
from millstream.upstreams.refusals import failure, is_error, reason, reason_in

# stop_reason → finish_reason; others are taken as they are.
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# The usage counts what was written to the prompt cache, and read from it, apart.
CACHED = "cache_read_input_tokens"
INPUT = ("input_tokens", "cache_creation_input_tokens", CACHED)
TEXTS: dict[str, EventType] = {"text": "message", "thinking": "reasoning"}  # the name of a field, and what it is


def read(payload: bytes) -> dict[str, Any]:
    """Raises ValueError where the payload is no JSON object."""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # half surrogates, invalid UTF-8
        try:
            document = json.loads(payload.decode("utf-8", "replace"))
        except RecursionError as error:
            raise ValueError("nested too deep") from error
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


class Decoder:
    """One answer's payloads → events. Raises UpstreamError for an error, and for an end without message_stop."""

    def __init__(self, call: Call, upstream: str, secrets: Iterable[Secret] = ()) -> None:
        self.done = False  # message_stop has come: nothing follows
        self.finished = False  # the same
        self._call = call
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._halves: dict[EventType, str] = {}  # surrogates that wait for their other half
        self._model = ""
        self._finish_reason = "stop"
        self._tokens: dict[str, int] = {}
        self._weight = 0.0

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        """The events in the data of one server-sent event of this type."""
        if self.done or not payload or payload.isspace() or payload in (b"[DONE]", b"null", b"{}"):
            return []
        try:
            document = read(payload)
        except ValueError as error:
            raise self._gibberish(payload) from error
        kind = document.get("type", type)
        if kind == "error" or document.get("error"):
            raise failure(self._upstream, reason(document), self._secrets)
        if (type == "document" and kind != "message") or ("type" not in document and is_error(document)):
            raise failure(self._upstream, reason_in(payload), self._secrets, elsewhere=True)
        return self._read(kind, document)

    def close(self) -> list[Event]:
        """The last events, `done` among them. Raises UpstreamError where the answer was cut."""
        if not self.done:
            raise self.cut()
        usage = self._usage() or Usage(
            estimate.prompt_tokens(self._call.messages), ceil(self._weight), source="estimated"
        )
        end = End(self._model or self._call.model, self._upstream, self._finish_reason, usage)
        return [*(Event(type, "\ufffd") for type in self._halves), Event("done", end=end)]

    def cut(self) -> UpstreamError:
        return UpstreamError(
            "upstream_broke", f'upstream "{self._upstream}" broke off in the middle of its answer. Ask again.'
        )

    def _read(self, kind: object, document: dict[str, Any]) -> list[Event]:
        if kind == "content_block_delta":
            return self._texts(_dict(document, "delta"))
        if kind == "content_block_start":
            return self._texts(_dict(document, "content_block"))
        if kind == "message_start":
            self._know(_dict(document, "message"))
        elif kind == "message_delta":
            self._know(_dict(document, "delta"))
            self._count(_dict(document, "usage"))
        elif kind == "message_stop":
            self.done = self.finished = True
        elif kind == "message":
            return self._whole(document)
        return []  # ping, content_block_stop, and what is to come: unknown events are to be ignored

    def _whole(self, document: dict[str, Any]) -> list[Event]:
        """A message that came unstreamed."""
        self._know(document)
        self.done = self.finished = True
        content = document.get("content")
        blocks = content if isinstance(content, list) else []
        return [event for block in blocks if isinstance(block, dict) for event in self._texts(block)]

    def _know(self, message: dict[str, Any]) -> None:
        if isinstance(model := message.get("model"), str) and model:
            self._model = model
        if isinstance(stop := message.get("stop_reason"), str) and stop:
            self._finish_reason = REASONS.get(stop, stop)
        self._count(_dict(message, "usage"))

    def _count(self, usage: dict[str, Any]) -> None:
        # The sums so far: what comes later replaces what came, and a field that doesn't come again stays.
        for name in (*INPUT, "output_tokens"):
            if value := estimate.count(usage.get(name)):
                self._tokens[name] = value

    def _usage(self) -> Usage | None:
        asked = sum(self._tokens.get(name, 0) for name in INPUT)
        came = self._tokens.get("output_tokens", 0)
        return Usage(asked, came, cached=self._tokens.get(CACHED, 0)) if asked or came else None

    def _texts(self, block: dict[str, Any]) -> list[Event]:
        """Of a block or a piece of one. Signatures, citations, and the arguments of tools say nothing to a reader."""
        events: list[Event] = []
        for name, type in TEXTS.items():
            text = block.get(name)
            if isinstance(text, str) and text and (text := self._characters(type, text)):
                self._weight += estimate.weight(text)
                events.append(Event(type, text))
        return events

    def _characters(self, type: EventType, text: str) -> str:
        """Joins a pair of surrogates that was cut in two; one without the other becomes U+FFFD."""
        if text.isascii() and not self._halves:
            return text
        text = self._halves.pop(type, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[type] = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _gibberish(self, payload: bytes) -> UpstreamError:
        said = quote(payload.decode("utf-8", "replace"), self._secrets)
        return UpstreamError(
            "upstream_protocol",
            f'upstream "{self._upstream}" sent what is no event of the Messages API: {said}. Check its base_url.',
        )


def _dict(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}
