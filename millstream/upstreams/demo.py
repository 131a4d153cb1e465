"""An upstream without a model: it sends fixed text at any pace, and faults on request.

The model's name may carry parameters: `demo?pace=100&tokens=50&fault=cut&after=10`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from msgspec import Struct, ValidationError, convert

from millstream.dialects.abilities import Abilities, check
from millstream.dialects.fields import wrong
from millstream.errors import UpstreamError
from millstream.events import Call, End, Event, Usage
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import Blocking, Configured, estimate, questioned
from millstream.upstreams.demo_text import TEXT, THOUGHT

# The code of each error, and the word for it. REFUSALS come before it accepts, the others after `after` tokens.
FAULTS = {
    "refuse": ("upstream_refused", "refused"),
    "auth": ("upstream_auth", "did not accept the key"),
    "cut": ("upstream_broke", "broke off"),
    "error": ("upstream_broke", "sent an error"),
    "silence": ("silence_timeout", "fell silent"),
}
REFUSALS = ("refuse", "auth")


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The demo's parameters. `pace` is in tokens/s. It sends `reasoning` tokens of thought, then `tokens` of text.
    The fault comes after `after` tokens in all.

    Delays in seconds: `slow_headers` before it accepts, `hold` before the first token, `hold_last` before the last.
    """

    pace: float = 30.0
    tokens: int | None = None
    reasoning: int = 0
    fault: str = ""
    after: int = 0
    slow_headers: float = 0.0
    hold: float = 0.0
    hold_last: float = 0.0


ALLOWED = f"{', '.join(Parameters.__struct_fields__)}; fault is one of {', '.join(FAULTS)}"
MOST = 1_000_000  # of each number
ABILITIES = Abilities(image=False, file=False, tools=False, json_object=False, json_schema=False)


class Demo(Configured):
    """The kind "demo". Its settings are Parameters, the defaults of every call."""

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        self.models = settings.models or ("demo",)
        self._extra = dict(settings.extra)
        try:
            _parameters(self._extra, {})
        except ValueError as error:
            raise SettingError(f"upstreams.{self.name}: {error}; allowed are {ALLOWED}") from error

    def ask(self, call: Call) -> Blocking:
        model, _, query = call.model.partition("?")
        try:
            asked = _parameters(self._extra, dict(parse_qsl(query, keep_blank_values=True)))
        except ValueError as error:
            raise wrong("model", f"is {call.model[:200]!r}: {error}; allowed are {ALLOWED}") from error
        check(questioned(call), ABILITIES)
        time.sleep(asked.slow_headers)
        if asked.fault in REFUSALS:
            raise self._failure(asked.fault)
        usage = Usage(estimate.prompt_tokens(call.question), asked.reasoning + _length(asked))
        return Blocking(self._answer(asked, End(model, self.name, "stop", usage)))

    def _answer(self, asked: Parameters, end: End) -> Iterator[list[Event]]:
        """Send tokens by the clock: a late token does not delay the next one."""
        time.sleep(asked.hold)
        begun = time.monotonic()
        total = asked.reasoning + _length(asked)
        for n in range(total):
            if asked.fault and n == asked.after:
                self._fail(asked.fault)
            if asked.hold_last and n == total - 1:
                time.sleep(asked.hold_last)
            else:  # even at full speed, let other greenlets run between two tokens
                time.sleep(max(0.0, begun + n / asked.pace - time.monotonic()) if asked.pace else 0.0)
            thinking = n < asked.reasoning
            text = THOUGHT[n % len(THOUGHT)] if thinking else TEXT[(n - asked.reasoning) % len(TEXT)]
            yield [Event("reasoning" if thinking else "message", text)]
        if asked.fault:
            self._fail(asked.fault)
        yield [Event("done", end=end)]

    def _fail(self, fault: str) -> None:
        if fault != "silence":
            raise self._failure(fault)
        while True:  # until the stream is stopped
            time.sleep(3600)

    def _failure(self, fault: str) -> UpstreamError:
        code, did = FAULTS[fault]
        return UpstreamError(code, f'upstream "{self.name}" {did}, as it was asked to.', paid=fault not in REFUSALS)


def _length(asked: Parameters) -> int:
    return len(TEXT) if asked.tokens is None else asked.tokens


def _parameters(extra: Mapping[str, object], query: Mapping[str, str]) -> Parameters:
    """Read the parameters. Raises ValueError with the reason."""
    try:
        asked = convert({**extra, **query}, Parameters, strict=False)
    except ValidationError as error:
        raise ValueError(re.sub(r" - at `\$\.?(.*)`", r" (\1)", str(error))) from error
    for name in Parameters.__struct_fields__:
        value = getattr(asked, name)
        if isinstance(value, int | float) and not 0 <= value <= MOST:
            raise ValueError(f"{name} is {value:g}; it has to be 0 to {MOST}")
    if asked.fault and asked.fault not in FAULTS:
        raise ValueError(f"there is no fault {asked.fault[:50]!r}")
    return asked
