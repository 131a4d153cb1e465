"""Parameters that a model refuses, and how to ask it instead: https://platform.openai.com/docs/guides/error-codes

Some servers and models answer 400 to a field that others need. The question is then put once more as the complaint
says. What helped is remembered for that model, and forgotten after AGAIN seconds: servers learn, too.
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
MODELS = 1000  # for which something is remembered; a client may name any
USAGE = {"include_usage": True}
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
LEAST = 16  # tokens of an answer that is worth asking for

_NUMBER = re.compile(r"\d+")

Asked = dict[str, Any]
Answer = TypeVar("Answer")


class Concession(NamedTuple):
    """`complains`: whether this refusal of this question is of that kind. `lasting`: the model is like that, while
    another question's field was merely odd."""

    complains: Callable[[Refused, Asked], bool]
    concede: Callable[[Asked], Asked]
    lasting: bool = True


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
                more = next((one for one in ALL if one not in made + new and one.complains(refused, question)), None)
                if more is None and not any(one.complains is _never for one in new):
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


def _complains_of_usage(refused: Refused, asked: Asked) -> bool:
    return "stream_options" in asked and _names(refused, b"stream_options", b"include_usage")


def _complains_of_options(refused: Refused, asked: Asked) -> bool:
    return _complains_of_usage(refused, asked) and asked["stream_options"] != USAGE


def _complains_of_max_tokens(refused: Refused, asked: Asked) -> bool:
    return "max_tokens" in asked and _names(refused, b"max_completion_tokens")


def _with_completion_tokens(asked: Asked) -> Asked:
    if "max_tokens" not in asked:
        return asked
    limits = [asked[name] for name in ("max_tokens", "max_completion_tokens") if asked.get(name) is not None]
    return {**_without(asked, "max_tokens"), **({"max_completion_tokens": min(limits)} if limits else {})}


def _complains_of_both(refused: Refused, asked: Asked) -> bool:
    return {"temperature", "top_p"} <= asked.keys() and _names(refused, b"temperature") and b"top_p" in refused.said


def _with_one(asked: Asked) -> Asked:
    """Of temperature and top_p the one that says something; 1 is the default of both."""
    if not {"temperature", "top_p"} <= asked.keys():
        return asked
    return _without(asked, "temperature" if asked["temperature"] == 1 != asked["top_p"] else "top_p")


def _complains_of_streaming(refused: Refused, asked: Asked) -> bool:
    if not (asked.get("stream") and _names(refused, b"stream")):
        return False
    return reason_in(refused.said).param == "stream"


def _unstreamed(asked: Asked) -> Asked:
    return {**_without(asked, "stream_options"), "stream": False}


def _wants_a_budget(refused: Refused, asked: Asked) -> bool:
    adaptive = _has(asked, "thinking", "type") == "adaptive"
    return adaptive and "max_tokens" in asked and _names(refused, b"adaptive", b"effort")


def _complains_of_thinking(refused: Refused, asked: Asked) -> bool:
    return "thinking" in asked and _names(refused, b"thinking") and b"support" in refused.said


def _complains_of_effort(refused: Refused, asked: Asked) -> bool:
    return bool(_has(asked, "output_config", "effort")) and _names(refused, b"effort")


def _has(asked: Asked, name: str, inner: str) -> Any:
    value = asked.get(name)
    return value.get(inner) if isinstance(value, dict) else None


def _hint(*names: str) -> Concession:
    """A hint that the answer can do without: agents send it to every model."""
    words = [name.encode() for name in names]
    return Concession(
        lambda refused, asked: any(name in asked for name in names) and _names(refused, *words),
        lambda asked: _without(asked, *names),
    )


def _never(refused: Refused, asked: Asked) -> bool:
    return False


def _shorter(refused: Refused, asked: Asked) -> Concession | None:
    """Asks for no more tokens than the model has, which the complaint names: agents ask each one for 32,000."""
    name = next((name for name in LENGTHS if isinstance(asked.get(name), int)), None)
    if name is None or not _names(refused, *(word.encode() for word in LENGTHS), b"context length"):
        return None
    said = [int(number) for number in _NUMBER.findall(reason_in(refused.said).message.replace(",", ""))]
    if b"context length" in refused.said:  # the model's, and what the prompt takes of it
        context = max((number for number in said if number not in (asked[name], max(said))), default=0)
        prompt = max((number for number in said if number < context and number != asked[name]), default=0)
        most = context - prompt
    else:
        most = max((number for number in said if number < asked[name]), default=0)
    if not LEAST <= most < asked[name]:
        return None
    return Concession(_never, lambda asked: {**asked, name: min(most, asked.get(name, most))}, lasting=False)


ALL = (
    Concession(_complains_of_options, lambda asked: {**asked, "stream_options": USAGE}, lasting=False),
    Concession(_complains_of_usage, lambda asked: _without(asked, "stream_options")),
    Concession(_complains_of_max_tokens, _with_completion_tokens),
    Concession(_complains_of_both, _with_one),
    Concession(_complains_of_streaming, _unstreamed),
    _hint("reasoning_effort"),
    _hint("reasoning"),
    _hint("parallel_tool_calls"),
    _hint("think"),
    Concession(_wants_a_budget, messages.with_budget),
    Concession(_complains_of_thinking, lambda asked: messages.without_effort(_without(asked, "thinking"))),
    Concession(_complains_of_effort, messages.without_effort),
)
