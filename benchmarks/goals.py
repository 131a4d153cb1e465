"""The figures that Millstream is to reach, which it does, and what is known of the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from installing import HERE

Figures = dict[str, dict[str, dict[str, float]]]


class Goal(NamedTuple):
    """`most` is at most how much it may be (negative: at least), `value` how much it is. `reason` is the heading in
    REASONS.md of where the time goes, if it is not reached."""

    reason: str
    wanted: str
    most: float
    value: Callable[[Figures], tuple[float, str]]
    format: str


def goals(figures: Figures, whole: bool) -> str:
    """A table; empty where nothing of it was measured. A `whole` run has to have measured all. Below it, why what is
    not reached is not."""
    rows, missed = [], {}
    for goal in GOALS:
        try:
            found, more = goal.value(figures)
        except KeyError:  # not measured, or saturated
            if whole:
                rows.append(f"| {goal.wanted} | – | **no**: disturbed, saturated or broken down |")
            continue
        reached = found >= -goal.most if goal.most < 0 else found <= goal.most
        if not reached:
            missed[goal.reason] = None
        rows.append(f"| {goal.wanted} | {goal.format.format(found)}{more} | {'yes' if reached else '**no**'} |")
    if not rows:
        return ""
    table = ["## Wanted and reached\n", "| wanted | measured | reached |", "|---|---|---|", *rows, ""]
    if whole and missed:
        known = reasons()
        table += ["## Not reached, and why\n", *(f"**{reason}.** {known[reason]}\n" for reason in missed)]
    return "\n".join(table)


def reasons() -> dict[str, str]:
    """What REASONS.md says, by heading."""
    _, *parts = re.split(r"^## ", (HERE / "REASONS.md").read_text("utf-8"), flags=re.M)
    return {heading: text.strip() for heading, _, text in (part.partition("\n") for part in parts)}


def _us(figures: Figures, relay: str, case: str) -> float:
    found = figures[relay][case]
    if found["saturated"]:
        raise KeyError(case)
    return found["us"]


def _token(relay: str) -> Callable[[Figures], tuple[float, str]]:
    """Millstream's CPU per token as a multiple of another's."""
    return lambda figures: (_us(figures, "millstream", "paced-200") / _us(figures, relay, "paced-200"), "")


def _redis(figures: Figures) -> tuple[float, str]:
    return _us(figures, "redis-store", "paced-200") / _us(figures, "millstream", "paced-200"), ""


def _flat(figures: Figures) -> tuple[float, str]:
    return figures["millstream"]["flat"]["per_second"] / figures["flask"]["flat"]["per_second"], ""


def _delay(case: str) -> Callable[[Figures], tuple[float, str]]:
    def value(figures: Figures) -> tuple[float, str]:
        _us(figures, "millstream", case)
        return figures["millstream"][case]["delay_us"] / 1000, ""

    return value


def _first_ms(figures: Figures, relay: str) -> float:
    return (figures[relay]["first"]["first_us"] - figures["direct"]["first"]["first_us"]) / 1000


def _first(figures: Figures) -> tuple[float, str]:
    return _first_ms(figures, "millstream"), ""


def _first_redis(figures: Figures) -> tuple[float, str]:
    ours = _first_ms(figures, "redis-store")
    return ours / _first_ms(figures, "millstream"), f" ({ours:.2f} ms)"


def _first_of_many(case: str) -> Callable[[Figures], tuple[float, str]]:
    def value(figures: Figures) -> tuple[float, str]:
        ours, others = (figures[relay][case]["first_us"] for relay in ("millstream", "flask"))
        return ours / others, f" ({ours / 1000:.2f} ms; plain Flask: {others / 1000:.2f} ms)"

    return value


def _start(figures: Figures) -> tuple[float, str]:
    ours = figures["millstream"]["start"]
    more = f" ({ours['reused']:.0%} of upstream connections reused)"
    return ours["start_ms"] / figures["flask"]["start"]["start_ms"], more


def _memory(relay: str) -> Callable[[Figures], tuple[float, str]]:
    return lambda figures: (figures[relay]["open-2000"]["kib"], "")


def _idle(figures: Figures) -> tuple[float, str]:
    return figures["workers-2"]["open-1"]["kib_none"] * 1024 / 1e6, ""


def _factor(figures: Figures, relay: str) -> tuple[float, list[float]]:
    found = [_us(figures, relay, case) for case in ("many-10", "many-100", "many-1000", "open-5000")]
    return max(found) / min(found), found


def _many(figures: Figures) -> tuple[float, str]:
    factor, found = _factor(figures, "millstream")
    try:
        nginx = f"; nginx: {_factor(figures, 'nginx')[0]:.2f}"
    except KeyError:
        nginx = ""
    return factor, f" ({', '.join(f'{us:.1f}' for us in found)} µs{nginx})"


TOKEN, START = "A token", "A start and its first token"
TOGETHER = "first token, 200 questions in one instant, median: ≤ 0.8 × plain Flask's"
GOALS = [
    Goal(TOKEN, "CPU per token, 200 streams of 50/s: ≤ 1.3 × nginx's", 1.3, _token("nginx"), "{:.2f} ×"),
    Goal(TOKEN, "≤ 0.45 × plain Flask's", 0.45, _token("flask"), "{:.2f} ×"),
    Goal("Redis", "the same with the store in Redis: ≤ 1.5 × the file store's", 1.5, _redis, "{:.2f} ×"),
    Goal("Delay", "median delay of a token, 20 streams of 50/s: ≤ 0.5 ms", 0.5, _delay("paced-20"), "{:.2f} ms"),
    Goal("Delay", "200 streams of 50/s: ≤ 2 ms", 2, _delay("paced-200"), "{:.2f} ms"),
    Goal("Flat out", "flat out, 20 streams: ≥ 10 × plain Flask's tokens/s", -10, _flat, "{:.1f} ×"),
    Goal(START, "CPU to start an answer: ≤ plain Flask's", 1, _start, "{:.2f} ×"),
    Goal(START, "added time to the first token, one client, median: ≤ 1 ms", 1, _first, "{:.2f} ms"),
    Goal(START, "at 200 starts a second: ≤ plain Flask's", 1, _first_of_many("first-often"), "{:.2f} ×"),
    Goal(START, TOGETHER, 0.8, _first_of_many("first-together"), "{:.2f} ×"),
    Goal("Redis", "added time to the first token with Redis: ≤ 2 × the file store's", 2, _first_redis, "{:.2f} ×"),
    Goal("Memory", "memory per open stream, 2,000 streams: ≤ 30 KiB", 30, _memory("millstream"), "{:.1f} KiB"),
    Goal("Memory", "the same with a TLS upstream: ≤ 50 KiB", 50, _memory("millstream-tls"), "{:.1f} KiB"),
    Goal("Memory", "idle server, two workers: ≤ 100 MB", 100, _idle, "{:.1f} MB"),
    Goal(
        "Many streams",
        "CPU per token at 10, 100, 1,000 and 5,000 streams: within a factor of 1.3",
        1.3,
        _many,
        "{:.2f}",
    ),
]
