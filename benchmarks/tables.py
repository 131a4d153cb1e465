"""The tables of a comparison, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contenders import RELAYS
from plan import START

if TYPE_CHECKING:
    from measuring import Comparison

DISTURBED = 0.2  # of the time: then not the relay was slow, but its neighbours had the core
Figures = dict[str, dict[str, dict[str, float]]]  # medians, by relay and case

MAIN = ("nginx", "millstream", "flask", "starlette", "fastapi", "litellm")
TABLES = [
    (
        "HTTP upstream, the store on disk",
        MAIN,
        ("paced-10", "paced-20", "paced-50", "paced-200", "paced-500", "flat-1", "flat"),
    ),
    ("Starts", MAIN, ("start", "first", "first-often", "first-together")),
    (
        "Formats and stores",
        ("millstream", "text", "v1", "memory-store", "redis-store"),
        ("paced-200", "first", "flat"),
    ),
    ("TLS upstream", ("nginx-tls", "millstream-tls", "flask-tls"), ("paced-200", "start", "flat")),
    ("Through nginx, end to end", ("millstream-nginx", "flask-nginx"), ("paced-200", "first")),
    ("Workers, on two cores", ("workers-1", "workers-2"), ("paced-200", "flat")),
    ("5,000 tokens a second, in few streams or in many", MAIN, ("many-10", "many-100", "many-1000", "open-5000")),
]
HEADS = {
    "start": "start, ms CPU",
    "first": "first token, ms more",
    "first-often": "200 starts a second: first token, ms",
    "first-together": "200 in one instant: first token, ms",
    "flat": "20 flat out, tokens/s",
    "flat-1": "1 flat out, tokens/s",
}


def tables(comparison: Comparison, figures: Figures) -> list[str]:
    """All that have something to say."""
    found = [_table(title, relays, cases, comparison, figures) for title, relays, cases in TABLES]
    return [table for table in (*found, _memory(figures), _others(figures), _failures(comparison)) if table]


def _rows(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]) + "\n"


def _table(
    title: str, relays: tuple[str, ...], cases: tuple[str, ...], comparison: Comparison, figures: Figures
) -> str:
    broken = {relay for relay, _ in comparison.broken} | comparison.missing.keys()
    cases = tuple(case for case in cases if any(case in figures.get(relay, {}) for relay in relays))
    relays = tuple(
        relay
        for relay in relays
        if any(case in figures.get(relay, {}) for case in cases)
        or (relay in broken and not any(case.startswith("many") for case in cases))
    )
    # One's own row stands in the first table.
    if not cases or (relays == ("millstream",) and title != TABLES[0][0]):
        return ""
    rows = [[RELAYS[relay].name, *(_cell(relay, case, comparison, figures) for case in cases)] for relay in relays]
    return f"## {title}\n\n{_rows(['relay', *map(_head, cases)], rows)}"


def _head(case: str) -> str:
    return HEADS.get(case) or f"{int(case.split('-')[1]):,} streams, µs per token"


def _cell(relay: str, case: str, comparison: Comparison, figures: Figures) -> str:
    by_case = figures.get(relay, {})
    found = by_case.get(case) or (by_case.get("start-few") if case == "start" else None)
    if relay in comparison.missing:
        return f"not installed: {comparison.missing[relay]}"
    if found is None:
        if {(relay, case), (relay, START)} & comparison.broken.keys():
            return "broke down"
        return "saturated" if _beyond(case, by_case) else "–"
    once = "¹" if found["rounds"] == 1 < _rounds(figures) else ""
    return _figure(relay, case, found, figures) + once


def _rounds(figures: Figures) -> float:
    return max(found["rounds"] for by_case in figures.values() for found in by_case.values())


def _figure(relay: str, case: str, found: dict[str, float], figures: Figures) -> str:
    if case == "start":
        few = f" ({found['reused']:.0%} of connections reused)" if found.get("reused", 1) < 0.9 else ""
        return f"{found['start_ms']:.2f}{few}"
    if case == "first":
        return f"{(found['first_us'] - figures['direct']['first']['first_us']) / 1000:.2f}"
    if case.startswith("first"):
        return f"{found['first_us'] / 1000:.2f}"
    if case.startswith("flat"):
        # What fills the other core measures that, and not the relay.
        limit = "> " if found["upstream"] + found["client"] > 0.9 else ""
        return f"{limit}{found['per_second']:,.0f} ({found['us']:.2f} µs each)"
    if found["saturated"]:
        return "disturbed" if found["waited"] > DISTURBED else "saturated"
    nginx = figures.get("nginx-tls" if RELAYS[relay].tls else "nginx", {}).get(case)
    ratio = f" (× {found['us'] / nginx['us']:.1f})" if nginx and nginx is not found and not nginx["saturated"] else ""
    store = f" + {found['store_us']:.1f} in Redis" if found["store_us"] else ""
    return f"{found['us']:.1f}{store}{ratio}"


def _beyond(case: str, by_case: dict[str, dict[str, float]]) -> bool:
    """Whether it wasn't measured because fewer streams were too many."""
    return case.startswith("paced") and any(
        found["saturated"] and found["waited"] <= DISTURBED
        for name, found in by_case.items()
        if name.startswith("paced")
    )


def _memory(figures: Figures) -> str:
    rows = []
    for relay, by_case in figures.items():
        steps = {
            streams: by_case[f"open-{streams}"] for streams in (1, 500, 2000, 5000) if f"open-{streams}" in by_case
        }
        if steps:
            none = next(iter(steps.values()))["kib_none"] / 1024
            kept = [f"{steps[n]['kib']:.1f}" if n in steps else "–" for n in (500, 2000, 5000)]
            rows.append([RELAYS[relay].label, f"{none:.1f}", *kept])
    head = ["relay", "MiB without a stream", "KiB per open stream, 500", "2,000", "5,000"]
    says = "PSS of the relay's processes, each stream one token a second, from a fresh process on; measured once."
    return f"## Memory\n\n{says}\n\n{_rows(head, rows)}" if rows else ""


def _others(figures: Figures) -> str:
    """That what measures is not what is measured."""
    cases = dict.fromkeys(case for by_case in figures.values() for case in by_case)
    rows = []
    for case in cases:
        found = [by_case[case] for relay, by_case in figures.items() if case in by_case and relay != "direct"]
        if found:
            shares = [f"{max(one[key] for one in found):.0%}" for key in ("upstream", "client")]
            ours = figures.get("millstream", {}).get(case)
            rows.append([case, *shares, f"{ours['upstream'] + ours['client']:.0%}" if ours else "–"])
    head = ["case", "emulator, at most", "client, at most", "both, with Millstream"]
    says = "Shares of the other core, over all relays. Where both fill it, tokens/s are a lower bound (>)."
    return f"## What measures\n\n{says}\n\n{_rows(head, rows)}" if rows else ""


def _failures(comparison: Comparison) -> str:
    rows = [[RELAYS[relay].label, case, " ".join(why.split())] for (relay, case), why in comparison.broken.items()]
    return f"## Broke down\n\n{_rows(['relay', 'case', 'why'], rows)}" if rows else ""
