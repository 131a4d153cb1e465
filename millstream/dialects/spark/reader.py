"""One answer in Spark's frames → events. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import Reason
from millstream.dialects.spark.frames import LAST, Called, Text, Tokens, read
from millstream.events import Event, EventType, Piece, Usage

SENSITIVE = 10019  # comes with the end of a whole answer: a warning


class Frames(Reader):
    """`accepted`: a frame without an error has come. What is not `offered` is not called. Spark doesn't say why it
    ends: an answer of as many tokens as were asked for, `most`, was too long."""

    says = "a frame of Spark's"

    def __init__(self, offered: bool = True, most: float | None = None) -> None:
        super().__init__()
        self._most = most
        self.accepted = False
        self._offered = offered
        self._calls = 0

    def feed(self, payload: bytes | str, type: str = "message") -> list[Event]:
        frame = read(payload)
        code = frame.header.code
        if code not in (0, SENSITIVE):
            raise Broken(Reason(frame.header.message, str(code)))
        self.accepted = True
        choices = frame.payload.choices if frame.payload else None
        events = self._texts(choices.text or (), frame.exact, frame.header.sid) if choices else []
        if frame.payload and frame.payload.usage and frame.payload.usage.text:
            self._count(frame.payload.usage.text)
        if code == SENSITIVE:  # the whole answer stands before it
            self.finish_reason = "content_filter"
        elif frame.header.status == LAST or (choices and choices.status == LAST):
            long = self._most is not None and self.usage is not None and self.usage.output >= self._most
            self.finish_reason = "tool_calls" if self._calls else "length" if long else "stop"
        self.done = self.finished = self.finish_reason is not None
        return events

    def _texts(self, texts: Iterable[Text], exact: bool, sid: str) -> list[Event]:
        events: list[Event] = []
        for text in texts:
            if text.index:
                continue  # another candidate: one of the answers is shown
            events += self._event("reasoning", text.reasoning_content, exact)
            events += self._event("message", text.content, exact)
            if self._offered and text.function_call is not None:
                events.append(self._call(text.function_call, sid))
        return events

    def _event(self, type: EventType, text: str | None, exact: bool) -> list[Event]:
        if text and (not exact or self._halves):
            text = self.characters(text, type)
        return [Event(type, text)] if text else []

    def _call(self, called: Called, sid: str) -> Event:
        """Spark gives a call no id."""
        name, arguments = (text.encode("utf-8", "replace").decode() for text in (called.name, called.arguments))
        index, self._calls = self._calls, self._calls + 1
        return Event("call", arguments, call=Piece(index, f"call_{sid}_{index}", name))

    def _count(self, tokens: Tokens) -> None:
        asked, came = count(tokens.prompt_tokens), count(tokens.completion_tokens)
        if asked or came:
            self.usage = Usage(asked, came)
