"""The common part of all readers of an upstream's answer: payloads → events. Pure."""

from __future__ import annotations

from millstream.dialects.foreign import Object, whole
from millstream.dialects.reasons import Reason
from millstream.events import MOST_TOKENS, Event, Usage
from millstream.formats.objects import valid

# Names of such numbers in all dialects.
COUNTS = frozenset(
    {
        *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_eval_count", "eval_count"),
        *("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    }
)

Texts = tuple[str, int]  # a kind of text, and whose: the number of a choice


class Broken(Exception):
    """The upstream told of an error. `elsewhere`: instead of an answer, so that another one may be asked."""

    def __init__(self, reason: Reason, elsewhere: bool = False) -> None:
        super().__init__()
        self.reason = reason
        self.elsewhere = elsewhere


class Reader:
    """The reader of one answer. `feed` takes the payload of one event, line or message, and its type; "document"
    means that the body is one JSON object. It raises Broken if the payload is an error, ValueError if it is not
    valid."""

    says = "an event of its API"  # what a payload ought to be

    def __init__(self) -> None:
        self.done = False  # nothing follows
        self.finished = False  # the answer is whole; its usage may follow
        self.model = ""
        self.finish_reason: str | None = None
        self.stop_sequence: str | None = None
        self.usage: Usage | None = None
        self.frame: bytes | None = None  # the last payload as clients of this dialect can read it, where it was none
        self.held = 0  # bytes that wait for the end of something and have come with other events
        self._halves: dict[Texts, str] = {}  # surrogates that wait for their other half

    def feed(self, payload: bytes, type: str = "message") -> list[Event]:
        raise NotImplementedError

    def texts(self, lines: bytes, count: int) -> list[str] | None:
        """Return what as many payloads of the type "message" say, one a line. Each has to be a piece of the answer's
        text and nothing else. Return None, and read nothing, where that isn't known at a glance."""
        return None

    def whole(self) -> bool:
        """Return True if the answer is complete, should nothing more come."""
        return self.done or self.finished

    def rest(self) -> list[Event]:
        """Return the text that was held back, once all has come."""
        return [
            Event("reasoning" if kind in ("reasoning", "thinking") else "message", "\ufffd", choice=choice)
            for kind, choice in self._halves
            if not kind.startswith("call")
        ]

    def characters(self, text: str, kind: str, choice: int = 0) -> str:
        """Joins a pair of surrogates that was cut in two; one without the other becomes U+FFFD."""
        if text.isascii() and not self._halves:
            return text
        text = self._halves.pop((kind, choice), "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._halves[kind, choice] = text[:-1], text[-1]
        return valid(text)


def count(said: object) -> int:
    """A number of tokens as an upstream gave it, also as text; 0 where it can't be one."""
    number = None if isinstance(said, bool) else whole(said)
    return number if number and 0 < number <= MOST_TOKENS else 0


def repair(usage: Object) -> bool:
    """Replace each count that clients could not read. Return True if there was one: their packages fail at a list."""
    odd = {name: count(value) for name, value in usage.items() if name in COUNTS and value is not None}
    odd = {name: number for name, number in odd.items() if number != usage[name]}
    usage.update(odd)
    return bool(odd)
