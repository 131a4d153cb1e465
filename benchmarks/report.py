"""What is said of a comparison while it runs, at its end, and in RESULTS.md."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from contenders import RELAYS
from goals import goals
from installing import HERE
from plots import plot
from tables import tables

if TYPE_CHECKING:
    from measuring import Comparison


def shown(case: str, found: dict[str, float]) -> str:
    """One measurement, on one line."""
    others = f"waited {found['waited']:.0%}; emulator {found['upstream']:.0%}, client {found['client']:.0%}"
    if "start_ms" in found:
        return f"{found['start_ms']:.2f} ms CPU, first token after {found['first_us'] / 1000:.2f} ms ({others})"
    kept = f", {found['kib']:.0f} KiB a stream" if "kib" in found else ""
    rate = f"{found['per_second']:,.0f} tokens/s on {found['busy']:.0%} of a core"
    late = ", saturated" if found["saturated"] else ""
    return f"{found['us']:.2f} µs a token{kept}, {rate}{late} ({others})"


def write(comparison: Comparison, rounds: int, minutes: float, keep: bool) -> None:
    """Prints all tables; `keep` is for a whole run, whose figures RESULTS.md shall have."""
    figures = comparison.medians()
    text = "\n".join([goals(figures, keep), *tables(comparison, figures)])
    waited = sorted(found["waited"] for rounds in comparison.found.values() for found in rounds)
    quiet = f"Neighbours kept the relays waiting for their core {waited[len(waited) // 2]:.0%} of the time"
    quiet += f" (median of all windows; at most {waited[-1]:.0%}): over some 5 %, only the CPU times mean something."
    quiet += comparison.cut and f"\n{comparison.cut}"
    print(f"\n{text}\n{quiet}\n{minutes:.1f} minutes in all")
    if not keep:
        return
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores; `python benchmarks/run.py`, {minutes:.1f} minutes;",
        f"medians of {rounds} rounds in which the relays took turns (¹: measured once). µs and ms are CPU of the",
        "relay's processes, an event has 255 bytes. How it is measured stands in [README.md](README.md). Only ratios",
        "within one run mean anything elsewhere.\n",
        quiet,
    ]
    head = "# Results\n\n" + "\n".join(facts) + "\n\n"
    plots = plot({key: relay.label for key, relay in RELAYS.items()}, figures)
    images = "".join(f"![{title}]({file})\n" for file, title in plots)
    (HERE / "RESULTS.md").write_text(f"{head}{text}\n{images}", "utf-8")
