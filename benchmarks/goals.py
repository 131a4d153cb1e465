"""The figures that Millstream is to reach, and which it does."""

from __future__ import annotations

from collections.abc import Callable

Figures = dict[str, dict[str, dict[str, float]]]


def goals(figures: Figures, whole: bool) -> str:
    """A table; empty where nothing of it was measured. A `whole` run has to have measured all."""
    rows = []
    for wanted, most, value, format_ in GOALS:
        try:
            found, more = value(figures)
        except KeyError:  # not measured, or saturated
            if whole:
                rows.append(f"| {wanted} | – | **no**: disturbed, saturated or broken down |")
            continue
        reached = found >= -most if most < 0 else found <= most
        rows.append(f"| {wanted} | {format_.format(found)}{more} | {'yes' if reached else '**no**'} |")
    if not rows:
        return ""
    return "\n".join(["## Wanted and reached\n", "| wanted | measured | reached |", "|---|---|---|", *rows, ""])


def _us(figures: Figures, relay: str, case: str) -> float:
    found = figures[relay][case]
    if found["saturated"]:
        raise KeyError(case)
    return found["us"]


def _token(relay: str, *cases: str) -> Callable[[Figures], tuple[float, str]]:
    """Millstream's CPU per token as a multiple of another's, in the first case that saturates neither."""

    def value(figures: Figures) -> tuple[float, str]:
        for case in cases:
            try:
                ratio = _us(figures, "millstream", case) / _us(figures, relay, case)
            except KeyError:
                continue
            return ratio, "" if case == cases[0] else f" (at {case.split('-')[1]} streams: 200 saturate the other)"
        raise KeyError(relay)

    return value


def _redis(figures: Figures) -> tuple[float, str]:
    return _us(figures, "redis-store", "paced-200") / _us(figures, "millstream", "paced-200"), ""


def _flat(figures: Figures) -> tuple[float, str]:
    return figures["millstream"]["flat"]["per_second"] / figures["flask"]["flat"]["per_second"], ""


def _first(figures: Figures) -> tuple[float, str]:
    return (figures["millstream"]["first"]["first_us"] - figures["direct"]["first"]["first_us"]) / 1000, ""


def _start(figures: Figures) -> tuple[float, str]:
    ours = figures["millstream"]["start"]
    more = f" ({ours['reused']:.0%} of upstream connections reused)"
    return ours["start_ms"] / figures["flask"]["start"]["start_ms"], more


def _memory(relay: str) -> Callable[[Figures], tuple[float, str]]:
    return lambda figures: (figures[relay]["open-2000"]["kib"], "")


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


# What is wanted; at most how much (negative: at least); how much it is; how that is written.
GOALS: list[tuple[str, float, Callable[[Figures], tuple[float, str]], str]] = [
    ("CPU per token, 200 streams at 50 tokens/s: ≤ 1.3 × nginx's", 1.3, _token("nginx", "paced-200"), "{:.2f} ×"),
    ("≤ 0.45 × plain Flask's", 0.45, _token("flask", "paced-200"), "{:.2f} ×"),
    ("the same with the store in Redis: ≤ 1.5 × the file store's", 1.5, _redis, "{:.2f} ×"),
    ("flat out: ≥ 10 × plain Flask's tokens/s", -10, _flat, "{:.1f} ×"),
    ("added time to the first token, median: ≤ 1 ms", 1, _first, "{:.2f} ms"),
    ("CPU to start a stream: ≤ plain Flask's", 1, _start, "{:.2f} ×"),
    ("memory per open stream, 2,000 streams: ≤ 30 KiB", 30, _memory("millstream"), "{:.1f} KiB"),
    ("the same with a TLS upstream: ≤ 50 KiB", 50, _memory("millstream-tls"), "{:.1f} KiB"),
    ("CPU per token at 10, 100, 1,000 and 5,000 streams: within a factor of 1.3", 1.3, _many, "{:.2f}"),
]
