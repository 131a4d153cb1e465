"""One answer in the lines of Ollama's own API → events. Pure. https://docs.ollama.com/api/chat"""

from __future__ import annotations

import json
from typing import Any

from millstream.dialects.messages.reader import NOTHING, read
from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import reason_in
from millstream.events import Event, Piece, Usage

Object = dict[str, Any]


class Lines(Reader):
    """An answer without a line that is `done` was cut."""

    says = "line of Ollama's"

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        if payload in NOTHING:
            return []
        line = read(payload)
        if line.get("error") or not {"message", "done"} & line.keys():
            raise Broken(reason_in(payload), elsewhere="error" not in line)
        self.frame = payload
        if isinstance(model := line.get("model"), str) and model:
            self.model = model
        message = line.get("message")
        events = self._message(message) if isinstance(message, dict) else []
        if line.get("done") is True:
            self.done = self.finished = True
            reason = line.get("done_reason")
            self.finish_reason = reason if isinstance(reason, str) and reason else "stop"
            if self._calls and self.finish_reason == "stop":
                self.finish_reason = "tool_calls"
            # A prompt that it still knows is not counted.
            asked, came = count(line.get("prompt_eval_count")), count(line.get("eval_count"))
            self.usage = Usage(asked, came) if asked and came else None
        return events

    def _message(self, message: Object) -> list[Event]:
        events = []
        if thought := self._text(message, "thinking"):
            events.append(Event("reasoning", thought))
        if text := self._text(message, "content"):
            events.append(Event("message", text))
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict) and isinstance(function := call.get("function"), dict):
                events.append(self._call(str(call.get("id") or ""), function))
        return events

    def _call(self, id: str, function: Object) -> Event:
        arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
        piece = Piece(self._calls, id, str(function.get("name") or ""))
        self._calls += 1
        return Event("call", self.characters(arguments, "call"), call=piece)

    def _text(self, message: Object, name: str) -> str:
        text = message.get(name)
        return (
            self.characters(text, "reasoning" if name == "thinking" else "message") if isinstance(text, str) else ""
        )
