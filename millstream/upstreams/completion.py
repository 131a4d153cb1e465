"""One answer in OpenAI's chunks, of chats or of legacy completions → events. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, EventType, Usage
from millstream.settings import Secret
from millstream.upstreams import chunks, estimate
from millstream.upstreams.quotation import quote
from millstream.upstreams.refusals import Reason, failure, reason
from millstream.upstreams.thinking import Thinking


class Decoder:
    """One answer's payloads → events. Raises UpstreamError for an error frame, and for an end that is none.

    Where `call.api` isn't "chat", each payload becomes one `frame`, as it came. With `think`, what stands between
    `<think>` and `</think>` at the beginning of the answer is reasoning.
    """

    def __init__(self, call: Call, upstream: str, secrets: Iterable[Secret] = (), think: bool = False) -> None:
        self.done = False  # [DONE] has come, or the end: nothing follows
        self.finished = False  # a finish_reason has come: the answer is whole, usage may follow
        self._call = call
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._frames = call.api != "chat"
        self._thinking = Thinking() if think and not self._frames else None
        self._halves: dict[EventType, str] = {}  # surrogates that wait for their other half
        self._model = ""
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._weight = 0.0

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        """The events in the data of one server-sent event of this type.

        Raises UpstreamError; what the same payload brought beside an error comes with `feed` no more.
        """
        if self.done:
            return []
        if not payload.startswith(b"{"):
            said = payload.strip()
            self.done = said == b"[DONE]"
            if self.done or not said:
                return []
        if type == "error":
            raise self._failure(payload)
        try:
            chunk = chunks.read(payload)
        except ValueError as error:
            raise self._gibberish(payload) from error
        if (chunk.error is not None or chunk.code is not None) and chunk.failed:
            raise self._failure(payload)
        if chunk.model:
            self._model = chunk.model
        if chunk.usage is not None:
            self._count(chunk.usage)
        events = self._texts(chunk)
        return [Event("frame", frame=payload)] if self._frames else events

    def close(self) -> list[Event]:
        """The last events, `done` among them. Raises UpstreamError where the answer was cut."""
        if not (self.done or self.finished):
            raise self.cut()
        self.done = True
        events = [Event(type, "\ufffd") for type in self._halves]
        if self._thinking is not None:
            thought, answer = self._thinking.close()
            events += self._event("reasoning", thought) + self._event("message", answer)
        return [*(events if not self._frames else []), Event("done", end=self._end())]

    def cut(self) -> UpstreamError:
        return UpstreamError(
            "upstream_broke", f'upstream "{self._upstream}" broke off in the middle of its answer. Ask again.'
        )

    def _texts(self, chunk: chunks.Chunk) -> list[Event]:
        events: list[Event] = []
        for choice in chunk.choices or ():
            if choice.index and not self._frames:
                continue  # n > 1: one of the answers is shown
            if choice.finish_reason:
                self.finished = True
                self._finish_reason = choice.finish_reason
            delta = choice.delta or choice.message or (chunks.Delta(choice.text) if choice.text else None)
            if delta is None:
                continue
            # Some send the same thought under both names.
            thought = delta.reasoning_content or delta.reasoning
            if thought:
                events += self._event("reasoning", self._whole("reasoning", thought, chunk.exact))
            if delta.content:
                if chunk.exact and not self._halves and self._thinking is None:  # nearly all chunks
                    self._weight += estimate.weight(delta.content)
                    events.append(Event("message", delta.content))
                else:
                    events += self._answer(self._whole("message", delta.content, chunk.exact))
            if delta.refusal:
                events += self._event("message", self._whole("message", delta.refusal, chunk.exact))
        return events

    def _answer(self, text: str) -> list[Event]:
        if self._thinking is None:
            return self._event("message", text)
        thought, answer = self._thinking.feed(text)
        if self._thinking.over:
            self._thinking = None
        return self._event("reasoning", thought) + self._event("message", answer)

    def _event(self, type: EventType, text: str) -> list[Event]:
        if not text:
            return []
        self._weight += estimate.weight(text)
        return [Event(type, text)]

    def _whole(self, type: EventType, text: str, exact: bool) -> str:
        """Joins a pair of surrogates that was cut in two; one without the other becomes U+FFFD."""
        if exact and not self._halves:
            return text
        text = self._halves.pop(type, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[type] = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _count(self, tokens: chunks.Tokens) -> None:
        # Zeros on every chunk but one, or the sum so far on each: the last that says something counts.
        if tokens.prompt_tokens or tokens.completion_tokens:
            self._usage = Usage(max(tokens.prompt_tokens or 0, 0), max(tokens.completion_tokens or 0, 0))

    def _end(self) -> End:
        return End(
            model=self._model or self._call.model,
            upstream=self._upstream,
            # iFlytek's HTTP door gives no finish_reason; [DONE] says that nothing is missing.
            finish_reason=self._finish_reason or "stop",
            usage=self._usage or self._estimate(),
        )

    def _estimate(self) -> Usage:
        asked = estimate.prompt_tokens(self._call.messages, self._call.options.get("prompt"))
        return Usage(asked, ceil(self._weight), "estimated")

    def _failure(self, payload: bytes) -> UpstreamError:
        text = payload.decode("utf-8", "replace")
        try:
            why = reason(json.loads(text))
        except (ValueError, RecursionError):
            why = Reason(text)
        return failure(self._upstream, why, self._secrets)

    def _gibberish(self, payload: bytes) -> UpstreamError:
        said = quote(payload.decode("utf-8", "replace"), self._secrets)
        return UpstreamError(
            "upstream_protocol",
            f'upstream "{self._upstream}" sent what is no chat completion chunk: {said}. Check its base_url.',
        )
