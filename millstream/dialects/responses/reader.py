"""Turn the events of OpenAI's Responses API into ours. Pure.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from millstream.dialects.foreign import Object, read, string, table, tables
from millstream.dialects.messages.reader import NOTHING
from millstream.dialects.reading import Broken, Reader, count
from millstream.dialects.reasons import Reason, is_error, reason, reason_in
from millstream.dialects.responses.passing import ENDS, frame
from millstream.dialects.responses.question import NAME
from millstream.events import Event, EventType, Piece, Usage

TEXTS: dict[str, EventType] = {
    "response.output_text": "message",
    "response.refusal": "message",
    "response.reasoning_summary_text": "reasoning",
    "response.reasoning_text": "reasoning",
}
ARGUMENTS = {
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
UNANSWERED = {"failed", "cancelled"}
UNFINISHED = {"queued", "in_progress"}  # of an unstreamed response; in the last event the word is stale
BETWEEN = "\n\n"  # parts of a summary


class Events(Reader):
    """An answer without one of ENDS was cut. Some servers tell of a thing only when it is whole, or only at the end:
    what has been told is not told again. Events pass only of a server that numbers them: clients fail at others."""

    says = "an event of the Responses API"

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, Piece] = {}  # by the id of their items
        self._said: set[str] = set()  # ids of items, and kinds, of which something came
        self._signed: set[str] = set()
        self._passes = False

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        self.frame = None
        if payload in (*NOTHING, b""):
            return []
        event = read(payload)
        kind = str(event.get("type", type))
        if kind == "response.created":
            self._passes = isinstance(event.get("sequence_number"), int)
        if self._passes:
            self.frame = frame(payload, kind, event)
        if kind == "error" or event.get("error") or (kind == type and is_error(event)):
            raise Broken(reason_in(payload), elsewhere=type == "document")
        if event.get("object") == "response":
            return self._end(event, kind)
        if type == "document":
            raise Broken(reason_in(payload), elsewhere=True)
        name, _, verb = kind.rpartition(".")
        if name in TEXTS:
            return self._text(TEXTS[name], event, verb, name == "response.refusal")
        if name in ARGUMENTS:
            return self._arguments(event, verb, ARGUMENTS[name])
        if kind == "response.reasoning_summary_part.added" and event.get("summary_index"):
            return [Event("reasoning", BETWEEN)]
        if name == "response.output_item":
            return self._item(table(event.get("item")), whole=verb == "done")
        response = table(event.get("response"))
        self.model = string(response.get("model")) or self.model
        return self._end(response, kind) if kind in ENDS else []

    def _text(self, type: EventType, event: Object, verb: str, refusal: bool) -> list[Event]:
        key = f"{type} {event.get('item_id')}"
        text = event.get("delta") if verb == "delta" else None
        if verb == "done" and key not in self._said:
            text = event.get("refusal" if refusal else "text")
        said = self.characters(string(text), "refusal" if refusal else type)
        if not said:
            return []
        self._said |= {key, type}
        return [Event(type, said, refusal=refusal)]

    def _arguments(self, event: Object, verb: str, field: str) -> list[Event]:
        id = str(event.get("item_id"))
        call = self._calls.get(id)
        if call is None or (verb == "done" and id in self._said):
            return []
        text = self.characters(string(event.get("delta" if verb == "delta" else field)), f"call {call.index}")
        if text:
            self._said.add(id)
        return [Event("call", text, call=call)] if text else []

    def _item(self, item: Object, whole: bool, last: bool = False) -> list[Event]:
        """`last`: of the list at the end, where the ids may be others."""
        kind, id = string(item.get("type")), str(item.get("id"))
        if kind in CALLS:
            return self._call(item, id, CALLS[kind], whole)
        if not whole or kind not in ("message", "reasoning"):
            return []
        told = f"{kind} {id}" in self._said or (last and kind in self._said)
        if kind == "reasoning":
            events = self._thought(item, told)
        else:
            events = [] if told else [event for part in tables(item.get("content")) for event in self._part(part)]
        self._said |= {kind, f"{kind} {id}"} if events else set()
        return events

    def _part(self, part: Object) -> list[Event]:
        refusal = part.get("type") == "refusal"
        text = self.characters(string(part.get("refusal" if refusal else "text")), "message")
        return [Event("message", text, refusal=refusal)] if text else []

    def _thought(self, item: Object, told: bool) -> list[Event]:
        events = []
        parts = tables(item.get("summary")) or tables(item.get("content"))
        text = self.characters(BETWEEN.join(string(part.get("text")) for part in parts), "reasoning")
        if text and not told:
            events.append(Event("reasoning", text))
        signature = string(item.get("encrypted_content"))
        if signature and signature not in self._signed:
            self._signed.add(signature)
            events.append(Event("reasoning", signature=signature, origin=NAME))
        return events

    def _call(self, item: Object, id: str, field: str, whole: bool) -> list[Event]:
        text = self.characters(string(item.get(field)), f"call {id}") if id not in self._said else ""
        known = self._calls.get(id)
        if known is None:
            custom = field == "input"
            named = Piece(len(self._calls), string(item.get("call_id")) or id, string(item.get("name")), custom)
            known = self._calls[id] = Piece(named.index, custom=custom)
        else:
            named = known
        if text:
            self._said.add(id)
        return [Event("call", text, call=named)] if text or named is not known else []

    def _end(self, response: Object, kind: str) -> list[Event]:
        self.model = string(response.get("model")) or self.model
        self._count(table(response.get("usage")))
        said = {kind.rpartition(".")[2], string(response.get("status"))}
        if failed := said & UNANSWERED or (said & UNFINISHED if kind not in ENDS else ()):
            raise Broken(reason(response) if response.get("error") else Reason(f"its status is {min(failed)}"))
        known = set(self._calls)
        events = [
            event
            for item in tables(response.get("output"))
            if string(item.get("type")) not in CALLS or not known or str(item.get("id")) in known
            for event in self._item(item, whole=True, last=True)
        ]
        why = string(table(response.get("incomplete_details")).get("reason"))
        cut = "length" if "incomplete" in said else ""
        self.finish_reason = REASONS.get(why, why) or cut or ("tool_calls" if self._calls else "stop")
        self.done = self.finished = True
        return events

    def _count(self, usage: Object) -> None:
        asked, came = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
        if asked or came:
            cached = count(table(usage.get("input_tokens_details")).get("cached_tokens"))
            thought = count(table(usage.get("output_tokens_details")).get("reasoning_tokens"))
            self.usage = Usage(asked, came, cached=min(cached, asked), reasoning=min(thought, came))
