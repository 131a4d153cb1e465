"""Retry a question without the parameters that a model refuses: https://platform.openai.com/docs/guides/error-codes

Some servers and models answer 400 to a field that others need. Millstream then changes the question as the error
says, and asks again. It remembers the change for this model for AGAIN seconds, because servers get updated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from millstream.dialects.messages import request as messages
from millstream.dialects.reasons import reason_in
from millstream.upstreams.refusals import Refused

AGAIN = 3600.0  # s until a field is tried again
MODELS = 1000  # models to remember at most; a client may name any
USAGE = {"include_usage": True}
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
LEAST = 16  # tokens; a shorter answer is not worth a retry

_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)")  # int() refuses thousands of digits

Asked = dict[str, Any]
Answer = TypeVar("Answer")


class Concession(NamedTuple):
    """A change to the question. It applies if the error has one of `words` and the word `beside`, and names the
    parameter. `concede` doesn't change a question without that field. `lasting` means that the model always refuses;
    otherwise only this question was unusual."""

    words: tuple[bytes, ...]
    concede: Callable[[Asked], Asked]
    beside: bytes = b""
    param: str = ""
    lasting: bool = True

    def fits(self, refused: Refused, asked: Asked) -> bool:
        return (
            _names(refused, *self.words)
            and self.beside in refused.said
            and self.concede(asked) != asked
            and (not self.param or reason_in(refused.said).param == self.param)
        )


class Concessions:
    """The concessions to one upstream's models."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: dict[str, dict[Concession, float]] = {}  # by model: until when

    def ask(self, asked: Asked, model: str, send: Callable[[Asked], Answer]) -> Answer:
        """Return the result of `send`. Raises its Refused if no concession is left."""
        made = [one for one, until in self._made.get(model, {}).items() if until > self._clock()]
        new: list[Concession] = []
        while True:
            question = asked
            for concession in (*made, *new):
                question = concession.concede(question)
            try:
                answer = send(question)
            except Refused as refused:
                more = next((one for one in ALL if one not in made + new and one.fits(refused, question)), None)
                if more is None and all(one.words for one in new):
                    more = _shorter(refused, question)
                if more is None:
                    raise
                new.append(more)
            else:
                self._remember(model, new)
                return answer

    def _remember(self, model: str, new: list[Concession]) -> None:
        if lasting := [one for one in new if one.lasting]:
            if len(self._made) >= MODELS:
                self._made.pop(next(iter(self._made)))
            self._made.setdefault(model, {}).update(dict.fromkeys(lasting, self._clock() + AGAIN))


def _without(asked: Asked, *names: str) -> Asked:
    return {name: value for name, value in asked.items() if name not in names}


def _names(refused: Refused, *words: bytes) -> bool:
    return refused.status in (400, 422) and any(word in refused.said for word in words)


def _with_completion_tokens(asked: Asked) -> Asked:
    if "max_tokens" not in asked:
        return asked
    limits = [asked[name] for name in ("max_tokens", "max_completion_tokens") if isinstance(asked.get(name), int)]
    return {**_without(asked, "max_tokens"), **({"max_completion_tokens": min(limits)} if limits else {})}


def _with_one(asked: Asked) -> Asked:
    """Keep only one of temperature and top_p: the one that differs from the default, 1."""
    if not {"temperature", "top_p"} <= asked.keys():
        return asked
    return _without(asked, "temperature" if asked["temperature"] == 1 != asked["top_p"] else "top_p")


def _usage_alone(asked: Asked) -> Asked:
    return {**asked, "stream_options": USAGE} if "stream_options" in asked else asked


def _unstreamed(asked: Asked) -> Asked:
    return {**_without(asked, "stream_options"), "stream": False} if asked.get("stream") else asked


def _less(name: str) -> Callable[[Asked], Asked]:
    return lambda asked: _without(asked, name)


def _with_budget(asked: Asked) -> Asked:
    return messages.with_budget(asked) if isinstance(asked.get("max_tokens"), int) else asked


def _without_thinking(asked: Asked) -> Asked:
    return messages.without_effort(_without(asked, "thinking")) if "thinking" in asked else asked


def _shorter(refused: Refused, asked: Asked) -> Concession | None:
    """Lower max_tokens to the number that the error names. Agents ask every model for 32,000."""
    name = next((name for name in LENGTHS if isinstance(asked.get(name), int)), None)
    if name is None or not _names(refused, *(word.encode() for word in LENGTHS), b"context length"):
        return None
    said = [int(number) for number in _NUMBER.findall(reason_in(refused.said).message.replace(",", ""))]
    if b"context length" in refused.said:  # the error names the model's length and the prompt's
        context = max((number for number in said if number not in (asked[name], max(said))), default=0)
        prompt = max((number for number in said if number < context and number != asked[name]), default=0)
        most = context - prompt
    else:
        most = max((number for number in said if number < asked[name]), default=0)
    if not LEAST <= most < asked[name]:
        return None
    return Concession((), lambda asked: {**asked, name: min(most, asked.get(name, most))}, lasting=False)


HINTS = ("reasoning_effort", "reasoning", "parallel_tool_calls", "think")  # agents send them to every model
ALL = (
    Concession((b"stream_options", b"include_usage"), _usage_alone, lasting=False),
    Concession((b"stream_options", b"include_usage"), _less("stream_options")),
    Concession((b"max_completion_tokens",), _with_completion_tokens),
    Concession((b"temperature",), _with_one, beside=b"top_p"),
    Concession((b"stream",), _unstreamed, param="stream"),
    *(Concession((hint.encode(),), _less(hint)) for hint in HINTS),
    Concession((b"adaptive", b"effort"), _with_budget),
    Concession((b"thinking",), _without_thinking, beside=b"support"),
    Concession((b"effort",), messages.without_effort),
)
