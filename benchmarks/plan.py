"""What is measured on which relay, how often, and how long that takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

PACE = 20_000  # µs: 50 tokens a second for each stream
START = "its start"  # what broke down where no case was reached


@dataclass(frozen=True)
class Case:
    """So many streams at a time, a token each `every` µs (0: flat out) in a window of so many `seconds`; or, with
    `answers`, so many whole answers of one token. With a `rate` so many of these are begun in a second, each over a
    connection of its own; 0: all in one instant. With several `streams`, more are opened from window to window."""

    name: str
    streams: tuple[int, ...]
    every: int = 0
    seconds: float = 0.0
    answers: int = 0
    rate: int | None = None
    memory: bool = False  # measured in each window, from a fresh process on

    @property
    def amount(self) -> float | str:
        """In load.c's words."""
        if not self.answers:
            return self.seconds
        return -self.answers if self.rate is None else f"-{self.answers}@{self.rate}"


CASES = {
    case.name: case
    for case in [
        # First, because memory is counted from a fresh process on.
        Case("idle", (1,), 1_000_000, 0.5, memory=True),
        Case("open-few", (500,), 1_000_000, 2.0, memory=True),
        Case("open", (500, 2000), 1_000_000, 2.0, memory=True),
        Case("open-more", (500, 2000, 5000), 1_000_000, 2.0, memory=True),
        Case("first", (1,), answers=100),
        Case("first-often", (300,), answers=300, rate=200),
        Case("first-together", (200,), answers=200, rate=0),
        Case("start", (8,), answers=300),
        Case("start-few", (8,), answers=60),
        Case("paced-10", (10,), PACE, 1.5),
        Case("paced-20", (20,), PACE, 1.0),
        Case("paced-50", (50,), PACE, 1.5),
        Case("paced-200", (200,), PACE, 2.0),
        Case("paced-500", (500,), PACE, 1.5),
        Case("flat-1", (1,), seconds=1.0),
        Case("flat", (20,), seconds=1.0),
        # 5,000 tokens a second, whatever the number of streams; `open-more` ends with 5,000 streams of one.
        Case("many-10", (10,), 2_000, 2.0),
        Case("many-100", (100,), 20_000, 2.0),
        Case("many-1000", (1000,), 200_000, 2.0),
    ]
}


@dataclass(frozen=True)
class Turn:
    """One relay's: the cases of each round, and those of the first round alone, which are dear."""

    relay: str
    each: tuple[str, ...] = ()
    once: tuple[str, ...] = ()


MANY = ("first-often", "first-together")
PLAN = [
    Turn("nginx", ("first", "start", "paced-50", "paced-200", "paced-500", "flat-1", "flat"), ("paced-10",)),
    Turn(
        "millstream",
        ("first", "start", *MANY, "paced-20", "paced-50", "paced-200", "paced-500", "flat-1", "flat"),
        ("paced-10",),
    ),
    Turn("text", ("paced-200",), ("flat",)),
    Turn("v1", ("paced-200",), ("flat",)),
    Turn("flask", ("first", "start", *MANY, "paced-50", "paced-200", "paced-500", "flat-1", "flat"), ("paced-10",)),
    Turn("starlette", ("first", "start"), ("paced-50", "paced-200", "flat")),
    Turn("fastapi", ("first", "paced-50", "paced-200"), ("paced-10", "start-few", "flat")),
    Turn("memory-store", ("paced-200",), ("flat",)),
    Turn("redis-store", ("first", "paced-200"), ("flat",)),
    Turn("nginx-tls", ("paced-200", "flat"), ("start", "open")),
    Turn("millstream-tls", ("paced-200", "flat"), ("start", "open")),
    Turn("flask-tls", ("paced-200", "flat"), ("start", "open")),
    Turn("millstream-nginx", ("first", "paced-200")),
    Turn("flask-nginx", ("first", "paced-200")),
    Turn("workers-1", (), ("paced-200", "flat")),
    Turn("workers-2", (), ("idle", "paced-200", "flat")),
    Turn("nginx", (), ("open-more", "many-10", "many-100", "many-1000")),
    Turn("millstream", (), ("open-more", "many-10", "many-100", "many-1000")),
    Turn("flask", (), ("open",)),
    Turn("starlette", (), ("open",)),
    Turn("fastapi", (), ("open-few",)),
    Turn("litellm", (), ("first", "start-few", "paced-10", "flat")),
]
QUICK = [
    Turn("nginx", ("first", "start", "paced-200", "flat"), ("open",)),
    Turn("millstream", ("first", "start", *MANY, "paced-20", "paced-200", "flat"), ("open",)),
    Turn("flask", ("first", "start", *MANY, "paced-200", "flat"), ("open",)),
    Turn("redis-store", ("first", "paced-200")),
    Turn("millstream-tls", ("open",)),
    Turn("workers-2", ("idle",)),
]


def chosen(plan: list[Turn], relays: Collection[str], cases: Collection[str]) -> list[Turn]:
    """The part of a plan that has these names; whoever names both gets what is not in the plan, too."""
    if relays and cases:
        return [Turn(relay, tuple(cases)) for relay in relays]
    turns = [
        Turn(
            turn.relay,
            *(tuple(name for name in names if not cases or name in cases) for names in (turn.each, turn.once)),
        )
        for turn in plan
        if not relays or turn.relay in relays
    ]
    return [turn for turn in turns if turn.each or turn.once]


def duration(case: Case, start_ms: float) -> float:
    """About how many seconds a case takes on a relay that opens a stream in `start_ms`."""
    opening = (case.answers or max(case.streams)) * start_ms / 1000
    return opening + case.seconds * len(case.streams) + 0.3
