"""Turn Spark's frames into events. Pure. https://www.xfyun.cn/doc/spark/Web.html"""

from __future__ import annotations

from collections.abc import Iterator

from millstream.dialects.foreign import Object, read, string, table, tables, whole
from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import Reason
from millstream.events import Event, EventType, Piece, Usage

LAST = 2  # of `status`
SENSITIVE = 10019  # comes with the end of a whole answer: a warning
TEXTS: dict[str, EventType] = {"reasoning_content": "reasoning", "content": "message"}


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
        header, said = table(frame.get("header")), table(frame.get("payload"))
        if not header:
            raise ValueError("no header")
        code = whole(header.get("code")) or 0
        if code not in (0, SENSITIVE):
            raise Broken(Reason(string(header.get("message")), str(code)))
        self.accepted = True
        choices = table(said.get("choices"))  # `plugins` may stand here without it
        events = [*self._events(choices, string(header.get("sid")))]
        tokens = table(table(said.get("usage")).get("text"))
        asked, came = count(tokens.get("prompt_tokens")), count(tokens.get("completion_tokens"))
        if asked or came:
            self.usage = Usage(asked, came)
        if code == SENSITIVE:  # the whole answer stands before it
            self.finish_reason = "content_filter"
        elif LAST in (whole(header.get("status")), whole(choices.get("status"))):
            long = self._most is not None and self.usage is not None and self.usage.output >= self._most
            self.finish_reason = "tool_calls" if self._calls else "length" if long else "stop"
        self.done = self.finished = self.finish_reason is not None
        return events

    def _events(self, choices: Object, sid: str) -> Iterator[Event]:
        for text in tables(choices.get("text")):
            if whole(text.get("index")):
                continue  # another candidate: one of the answers is shown
            for name, type in TEXTS.items():
                if said := self.characters(string(text.get(name)), type):
                    yield Event(type, said)
            if self._offered and (called := table(text.get("function_call"))):
                yield self._call(called, sid)

    def _call(self, called: Object, sid: str) -> Event:
        """Spark gives a call no id."""
        name, arguments = (
            string(called.get(field)).encode("utf-8", "replace").decode() for field in ("name", "arguments")
        )
        index, self._calls = self._calls, self._calls + 1
        return Event("call", arguments, call=Piece(index, f"call_{sid}_{index}", name))
