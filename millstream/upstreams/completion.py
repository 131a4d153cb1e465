"""One answer in OpenAI's chunks, of chats or of legacy completions → events. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, EventType, Usage
from millstream.settings import Secret
from millstream.upstreams import chunks, estimate
from millstream.upstreams.choices import Choice, corrected
from millstream.upstreams.quotation import quote
from millstream.upstreams.refusals import failure, is_error, reason_in
from millstream.upstreams.thinking import Thinking

NOTHING = (b"", b"null", b"{}")  # some keep a connection alive with these


class Decoder:
    """One answer's payloads → events. Raises UpstreamError for an error frame, and for an end that is none.

    Where `call.api` isn't "chat", each payload becomes one `frame`, as it came. With `think`, what stands between
    `<think>` and `</think>` at the beginning of the answer is reasoning.
    """

    def __init__(self, call: Call, upstream: str, secrets: Iterable[Secret] = (), think: bool = False) -> None:
        self.done = False  # [DONE] has come, or the end: nothing follows
        self.finished = False  # every choice has said something, and its end: the answer is whole, usage may follow
        self._call = call
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._frames = call.api != "chat"
        self._asked = _choices_asked(call)
        self._choices: dict[int, Choice] = {}
        self._thinking = Thinking() if think and not self._frames else None
        self._halves: dict[EventType, str] = {}  # surrogates that wait for their other half
        self._model = ""
        self._usage: Usage | None = None
        self._weight = 0.0

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        """The events in the data of one server-sent event of this type; "document" is a body that is one JSON object.

        Raises UpstreamError; what the same payload brought beside an error comes with `feed` no more.
        """
        if self.done:
            return []
        if not payload.startswith(b"{"):
            said = payload.strip()
            self.done = said == b"[DONE]"
            if self.done or said in NOTHING:
                return []
        if type == "error":
            raise self._failure(payload)
        try:
            chunk = chunks.read(payload)
        except ValueError as error:
            raise self._gibberish(payload) from error
        if (chunk.error is not None or chunk.code is not None) and chunk.failed:
            raise self._failure(payload, elsewhere=type == "document")
        if chunk.model:
            self._model = chunk.model
        # Zeros on every chunk but one, or the sum so far on each: the last that says something counts.
        usage = chunk.counted()
        self._usage = usage or self._usage
        if not chunk.choices:
            self._look(payload, type, chunk)
        events = self._read(payload, chunk)
        if self.finished or not chunk.choices or any(choice.finish_reason for choice in chunk.choices):
            counted = usage is not None and not chunk.choices
            some = self.finished or counted or all(choice.said for choice in self._choices.values())
            self.finished = some and self._is_whole()
        return events

    def close(self) -> list[Event]:
        """The last events, `done` among them. Raises UpstreamError where the answer was cut."""
        if not (self.done or self._is_whole()):
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

    def _read(self, payload: bytes, chunk: chunks.Chunk) -> list[Event]:
        events: list[Event] = []
        said: list[bool] = []
        places: list[list[int]] = []
        for came in chunk.choices or ():
            if came.index and not self._frames:
                continue  # n > 1: one of the answers is shown
            choice = self._choices.get(came.index or 0)
            if choice is None:
                choice = self._choices[came.index or 0] = Choice()
            said.append(choice.said)
            delta, order = choice.take(came)
            places.append(order)
            if delta is not None:
                events += self._texts(delta, chunk.exact)
        if self._frames:
            return [Event("frame", frame=corrected(payload, chunk, said, places))]
        return events

    def _is_whole(self) -> bool:
        choices = self._choices.values()
        return len(choices) >= self._asked and all(choice.reason for choice in choices)

    def _texts(self, delta: chunks.Delta, exact: bool) -> list[Event]:
        events: list[Event] = []
        # Some send the same thought under both names.
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            events += self._event("reasoning", self._whole("reasoning", thought, exact))
        if delta.content:
            if exact and not self._halves and self._thinking is None:  # nearly all chunks
                self._weight += estimate.weight(delta.content)
                events.append(Event("message", delta.content))
            else:
                events += self._answer(self._whole("message", delta.content, exact))
        if delta.refusal:
            events += self._event("message", self._whole("message", delta.refusal, exact))
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

    def _end(self) -> End:
        return End(
            model=self._model or self._call.model,
            upstream=self._upstream,
            # iFlytek's HTTP door gives no finish_reason; [DONE] says that nothing is missing.
            finish_reason=next((self._choices[n].reason for n in sorted(self._choices)), None) or "stop",
            usage=self._usage or self._estimate(),
        )

    def _estimate(self) -> Usage:
        asked = estimate.prompt_tokens(self._call.messages, self._call.options.get("prompt"))
        return Usage(asked, ceil(self._weight), "estimated")

    def _look(self, payload: bytes, type: str, chunk: chunks.Chunk) -> None:
        """Raises UpstreamError where a chunk without choices is an error in words of the server's own."""
        if type != "document" and (chunk.choices is not None or chunk.usage is not None):
            return
        document = json.loads(payload.decode("utf-8", "replace"))
        if type == "document" or is_error(document):
            raise self._failure(payload, elsewhere=True)

    def _failure(self, payload: bytes, elsewhere: bool = False) -> UpstreamError:
        return failure(self._upstream, reason_in(payload), self._secrets, elsewhere)

    def _gibberish(self, payload: bytes) -> UpstreamError:
        said = quote(payload.decode("utf-8", "replace"), self._secrets)
        return UpstreamError(
            "upstream_protocol",
            f'upstream "{self._upstream}" sent what is no chat completion chunk: {said}. Check its base_url.',
        )


def _choices_asked(call: Call) -> int:
    """How many choices have to come to their end."""
    n, prompt = call.options.get("n"), call.options.get("prompt")
    asked = max(n, 1) if isinstance(n, int) and call.api != "chat" else 1
    if call.api != "completions" or not isinstance(prompt, list) or all(isinstance(item, int) for item in prompt):
        return asked
    return asked * len(prompt)
