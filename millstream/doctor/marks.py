"""The doctor's stream: numbered marks by the clock, a silence, the last mark. It costs nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from msgspec import Struct

from millstream.events import Call, End, Event, Usage
from millstream.upstreams import Blocking, Deadlines, Plain

NAME = "doctor"  # the upstream's and the model's
MARK = re.compile(rb"mark ([0-9]+);")  # as it reads in every format
LONGEST = 900.0  # s: of a silence


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """`number` of marks, one every so many seconds, the first after `lead` (when all who follow are there); then, if
    there is a `silence` (s), one more behind it."""

    number: int = 16
    every: float = 0.15
    lead: float = 0.8
    silence: float = 0.0

    def last(self) -> int:
        """The last mark's number."""
        return self.number if self.silence else self.number - 1

    def due(self, n: int) -> float:
        """The time at which mark n is written, in s after the beginning."""
        return self.lead + min(n, self.number - 1) * self.every + (self.silence if n == self.number else 0.0)

    def check(self) -> None:
        """Check the plan. Raises ValueError with the reason."""
        if not (1 <= self.number <= 1000 and 0.01 <= self.every <= 10 and 0 <= self.lead <= 10):
            raise ValueError("number has to be 1 to 1000, every 0.01 to 10 s, lead 0 to 10 s")
        if not 0 <= self.silence <= LONGEST:
            raise ValueError(f"silence has to be 0 to {LONGEST:g} s")


class Marks(Plain):
    """Streams one Plan."""

    name = NAME
    models = (NAME,)
    deadlines = Deadlines(first_token=LONGEST, silence=LONGEST + 60, total=2 * LONGEST)

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def ask(self, call: Call) -> Blocking:
        return Blocking(self._marks())

    def _marks(self) -> Iterator[list[Event]]:
        begun = time.monotonic()
        for n in range(self._plan.last() + 1):
            time.sleep(max(0.0, begun + self._plan.due(n) - time.monotonic()))
            yield [Event("message", f"mark {n};\n")]
        yield [Event("done", end=End(NAME, NAME, "stop", Usage(0, 0)))]
