"""Turn the lines of Ollama's own API into events. Pure. https://docs.ollama.com/api/chat"""

from __future__ import annotations

import json

from millstream.dialects.foreign import Object, read_frame, string, table, tables
from millstream.dialects.messages.reader import NOTHING
from millstream.dialects.reading import Broken, Reader, count, repair
from millstream.dialects.reasons import reason_in
from millstream.events import Event, Piece, Usage
from millstream.formats.objects import to_json


class Lines(Reader):
    """An answer without a line that is `done` was cut."""

    says = "a line of Ollama's"

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        if payload in NOTHING:
            return []
        line, passed, _ = read_frame(payload)
        if line.get("error") or not {"message", "done"} & line.keys():
            raise Broken(reason_in(payload), elsewhere="error" not in line)
        self.frame = passed
        self.model = string(line.get("model")) or self.model
        events = self._message(table(line.get("message")))
        if line.get("done") is True:
            self.frame = to_json(line) if repair(line) else passed
            self.done = self.finished = True
            self.finish_reason = string(line.get("done_reason")) or "stop"
            if self._calls and self.finish_reason == "stop":
                self.finish_reason = "tool_calls"
            self.usage = Usage(count(line.get("prompt_eval_count")), count(line.get("eval_count")))
        return events

    def _message(self, message: Object) -> list[Event]:
        events = []
        if thought := self.characters(string(message.get("thinking")), "reasoning"):
            events.append(Event("reasoning", thought))
        if said := self.characters(string(message.get("content")), "message"):
            events.append(Event("message", said))
        for call in tables(message.get("tool_calls")):
            if isinstance(function := call.get("function"), dict):
                events.append(self._call(str(call.get("id") or ""), function))
        return events

    def _call(self, id: str, function: Object) -> Event:
        arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
        piece = Piece(self._calls, id, str(function.get("name") or ""))
        self._calls += 1
        return Event("call", self.characters(arguments, "call"), call=piece)
