"""Turn OpenAI's chunks, of chats or of legacy completions, into events. Pure."""

from __future__ import annotations

import json

from millstream.dialects.chat import chunks
from millstream.dialects.chat.choices import Choice, corrected
from millstream.dialects.chat.thinking import Thinking
from millstream.dialects.foreign import Object, read_frame, string, table, tables, whole
from millstream.dialects.reading import Broken, Reader, repair
from millstream.dialects.reasons import SUCCESS, is_error, reason_in
from millstream.events import Event, EventType, Piece
from millstream.formats.objects import to_json

NOTHING = (b"", b"null", b"{}")  # some keep a connection alive with these


class Chunks(Reader):
    """`answers` is how many choices were asked for. With `think`, what stands between `<think>` and `</think>` at the
    beginning of the answer is reasoning."""

    says = "a chat completion chunk"

    def __init__(self, answers: int = 1, think: bool = False) -> None:
        super().__init__()
        self._answers = answers
        self._choices: dict[int, Choice] = {}
        self._thinking = Thinking() if think else None
        self._flowing: EventType | None = None  # the last chunk was only text, or thoughts, and so may be the next

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        if not payload.startswith(b"{"):
            said = payload.strip()
            self.done = said == b"[DONE]"
            if self.done or said in NOTHING:
                return []
        if type == "error":
            raise Broken(reason_in(payload))
        if (flowing := self._flowing) and (read := chunks.read_text(payload, flowing)) is not None:
            self.model = read[1] or self.model
            self.frame = payload
            return [Event(flowing, read[0])]
        self._flowing = None
        chunk, valid, exact = read_frame(payload)
        if chunk.get("error") or chunk.get("code") not in SUCCESS:
            raise Broken(reason_in(payload), elsewhere=type == "document")
        self.model = string(chunk.get("model")) or self.model
        # Some send zeros in all chunks but one, others the sum so far in each: the last usage that isn't zero counts.
        usage = chunks.counted(chunk)
        self.usage = usage or self.usage
        if repair(table(chunk.get("usage"))):
            valid = to_json(chunk)
        choices = tables(chunk.get("choices"))
        if not choices:
            _look(payload, type, chunk)
        events = self._read(valid, chunk, choices, exact)
        if self.finished or not choices or any(choice.get("finish_reason") for choice in choices):
            counted = usage is not None and not choices
            some = self.finished or counted or all(choice.said for choice in self._choices.values())
            self.finished = some and self._all_ended()
        if len(events) == 1 and events[0].type in ("message", "reasoning") and self._flows():
            self._flowing = events[0].type if chunks.read_text(payload, events[0].type) else None
        return events

    def texts(self, lines: bytes, count: int) -> list[str] | None:
        read = chunks.read_texts(lines, count) if self._flowing == "message" else None
        if read is None:
            return None
        self.model = read[1] or self.model
        return read[0]

    def _flows(self) -> bool:
        """The one answer is under way, and nothing is held back: nearly all chunks need no closer look."""
        choice = self._choices.get(0)
        return (
            choice is not None
            and choice.said
            and choice.reason is None
            and not (self.finished or self._halves)
            and self._thinking is None
        )

    def whole(self) -> bool:
        if not (self.done or self._all_ended()):
            return False
        # iFlytek's HTTP API sends no finish_reason; [DONE] shows that the answer is complete.
        reasons = (self._choices[n].reason for n in sorted(self._choices))
        self.finish_reason = next(reasons, None) or "stop"
        return True

    def rest(self) -> list[Event]:
        events = super().rest()
        if self._thinking is not None:
            events += _two(*self._thinking.close())
        return events

    def _read(self, payload: bytes, chunk: Object, choices: list[Object], exact: bool) -> list[Event]:
        events: list[Event] = []
        said: list[bool] = []
        places: list[list[int]] = []
        for came in choices:
            number = whole(came.get("index")) or 0
            choice = self._choices.get(number)
            asked = 0 <= number < self._answers  # else nobody asked for it
            if choice is None:
                choice = Choice()
                if asked:
                    self._choices[number] = choice
            said.append(choice.said)
            delta, order = choice.take(came)
            places.append(order)
            if delta is not None and asked:
                events += self._events(delta, order, number, exact)
        self.frame = corrected(payload, chunk, said, places)
        return events

    def _all_ended(self) -> bool:
        choices = self._choices.values()
        return len(choices) >= self._answers and all(choice.reason for choice in choices)

    def _events(self, delta: Object, places: list[int], choice: int, exact: bool) -> list[Event]:
        events: list[Event] = []
        if thought := chunks.thought_in(delta):
            events += self._event("reasoning", thought, choice, exact)
        if text := chunks.text_in(delta.get("content")):
            if exact and not self._halves and self._thinking is None:  # nearly all chunks
                events.append(Event("message", text, choice=choice))
            else:
                events += self._answer(text, choice, exact)
        if refusal := string(delta.get("refusal")):
            events += self._event("refusal", refusal, choice, exact)
        for piece, place in zip(tables(delta.get("tool_calls")), places, strict=True):
            events += self._call(place, string(piece.get("id")), table(piece.get("function")), choice)
        if function := table(delta.get("function_call")):
            events += self._call(0, "", function, choice)
        return events

    def _answer(self, text: str, choice: int, exact: bool) -> list[Event]:
        if self._thinking is None or choice:
            return self._event("message", text, choice, exact)
        events = _two(*self._thinking.feed(text if exact and not self._halves else self.characters(text, "message")))
        if self._thinking.over:
            self._thinking = None
        return events

    def _event(self, kind: str, text: str, choice: int, exact: bool) -> list[Event]:
        if not exact or self._halves:
            text = self.characters(text, kind, choice)
        type: EventType = "reasoning" if kind == "reasoning" else "message"
        return [Event(type, text, choice=choice, refusal=kind == "refusal")] if text else []

    def _call(self, place: int, id: str, function: Object, choice: int) -> list[Event]:
        name, arguments = string(function.get("name")), function.get("arguments")
        if isinstance(arguments, dict):  # Ollama's are an object
            arguments = json.dumps(arguments, ensure_ascii=False)
        arguments = string(arguments)
        if not (id or name or arguments):
            return []
        text = self.characters(arguments, f"call {place}", choice)
        return [Event("call", text, call=Piece(place, id, name), choice=choice)]


def _two(thought: str, answer: str) -> list[Event]:
    """Split a text into reasoning and answer."""
    events = [Event("reasoning", thought)] if thought else []
    return [*events, Event("message", answer)] if answer else events


def _look(payload: bytes, type: str, chunk: Object) -> None:
    """Raise Broken if a chunk without choices is an error in the server's own format."""
    if type != "document" and (isinstance(chunk.get("choices"), list) or isinstance(chunk.get("usage"), dict)):
        return
    if type == "document" or is_error(chunk):
        raise Broken(reason_in(payload), elsewhere=True)


def answers_asked(body: dict[str, object]) -> int:
    """The number of choices that have to end."""
    n, prompt = body.get("n"), body.get("prompt")
    asked = max(n, 1) if isinstance(n, int) else 1
    if not isinstance(prompt, list) or not prompt or all(isinstance(item, int) for item in prompt):
        return asked
    return asked * len(prompt)
