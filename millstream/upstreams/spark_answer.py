"""One answer in Spark's frames → events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, EventType, Usage
from millstream.settings import Secret
from millstream.upstreams import estimate, spark_calls
from millstream.upstreams.quotation import quote
from millstream.upstreams.spark_codes import SENSITIVE, failure
from millstream.upstreams.spark_frames import LAST, Called, Frame, Text, Tokens, read


class Decoder:
    """One answer's messages → events. Raises UpstreamError for codes, and for what is no frame.

    A function call becomes a delta (spark_calls) where the question offers functions; else there can be none.
    """

    def __init__(self, call: Call, upstream: str, secrets: Iterable[Secret] = ()) -> None:
        self.accepted = False  # a frame without an error has come
        self.done = False  # the last frame has come
        self._asked = call
        self._upstream = upstream
        self._secrets = tuple(secrets)
        self._begun = False
        self._offer = spark_calls.offer(call.options)
        self._calls = 0
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
        events = self._texts(choices.text or (), frame) if choices else []
        if frame.payload and frame.payload.usage and frame.payload.usage.text:
            self._count(frame.payload.usage.text)
        self._begun = self._begun or bool(events)
        if code == SENSITIVE:  # the whole answer stands before it
            return [*events, *self._end("content_filter")]
        if frame.header.status == LAST or (choices and choices.status == LAST):
            return [*events, *self._end(self._finish_reason())]
        return events

    def cut(self) -> UpstreamError:
        """For a connection that ended first."""
        when = "in the middle of its answer" if self.accepted else "before it answered"
        return UpstreamError("upstream_broke", f'upstream "{self._upstream}" broke off {when}. Ask again.')

    def _finish_reason(self) -> str:
        return "stop" if not self._calls else "tool_calls" if self._offer == "tools" else "function_call"

    def _texts(self, texts: Iterable[Text], frame: Frame) -> list[Event]:
        events: list[Event] = []
        for text in texts:
            if text.index:
                continue  # another candidate: one of the answers is shown
            if text.reasoning_content:
                events += self._event("reasoning", text.reasoning_content, frame.exact)
            if text.content:
                events += self._event("message", text.content, frame.exact)
            if self._offer and text.function_call is not None:
                events.append(self._call(text.function_call, frame.header.sid))
        return events

    def _call(self, called: Called, sid: str) -> Event:
        name, arguments = (text.encode("utf-8", "replace").decode() for text in (called.name, called.arguments))
        self._weight += estimate.weight(name + arguments)
        index, self._calls = self._calls, self._calls + 1
        return spark_calls.call(self._offer, f"call_{sid}_{index}", index, name, arguments)

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
        asked, came = estimate.count(tokens.prompt_tokens), estimate.count(tokens.completion_tokens)
        if asked or came:
            self._usage = Usage(asked, came)

    def _end(self, finish_reason: str) -> list[Event]:
        self.done = True
        halves = [Event(type, "\ufffd") for type in self._halves]
        usage = self._usage or Usage(
            estimate.prompt_tokens(self._asked.messages), ceil(self._weight), source="estimated"
        )
        return [*halves, Event("done", end=End(self._asked.model, self._upstream, finish_reason, usage))]

    def _gibberish(self, message: str | bytes) -> UpstreamError:
        said = quote(message if isinstance(message, str) else message.decode("utf-8", "replace"), self._secrets)
        says = f'upstream "{self._upstream}" sent what is no frame of Spark\'s: {said}. Check its base_url.'
        return UpstreamError("upstream_protocol", says)
