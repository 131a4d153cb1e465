"""The table of a comparison, in the terminal and in RESULTS.md, and the plots."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
Found = dict[str, dict[str, dict[str, float]]]


def write(
    names: dict[str, str], results: dict[str, Found], memory: dict[str, list[float]], direct: float, rounds: int, whole: bool
) -> None:
    """Prints all tables; a whole run of three rounds is kept in RESULTS.md."""
    parts = [_table("HTTP upstream, the store on disk", names, results["plain"], direct)]
    if "variants" in results:
        parts.append(_table("Formats and stores", names, results["variants"], direct))
        parts.append(_table("TLS upstream", names, results["tls"], direct))
        parts.append(_memory(names, memory))
    text = "\n".join(parts)
    print(text)
    if whole and rounds >= 3:
        head = (
            f"# Results\n\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores; `python benchmarks/run.py`, medians "
            f"of {rounds} rounds that took turns. µs are CPU of the relay's processes; events of 255 bytes. Only "
            "ratios within one table mean anything elsewhere.\n\n"
        )
        plots = "\n![CPU per token](cpu.svg)\n" + ("![Memory](memory.svg)\n" if memory else "")
        (HERE / "RESULTS.md").write_text(head + text + plots, "utf-8")
        _plot(names, results["plain"], memory)


def _table(title: str, names: dict[str, str], found: Found, direct: float) -> str:
    cases = list(dict.fromkeys(case for by_case in found.values() for case in by_case))
    lines = [
        f"## {title}\n",
        f"| relay | {' | '.join(_head(case) for case in cases)} |",
        "|---|" + "---|" * len(cases),
    ]
    for name, by_case in found.items():
        cells = [_cell(case, by_case.get(case), found.get("nginx", {}).get(case), direct) for case in cases]
        lines.append(f"| {names[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _head(case: str) -> str:
    own = {"start": "start, ms CPU", "first": "added first token, ms"}
    own |= {"flat": "20 flat out, tokens/s", "flat-1": "1 flat out, tokens/s"}
    return own.get(case) or f"{case[6:]} streams, µs per token"


def _cell(case: str, value: dict[str, float] | None, nginx: dict[str, float] | None, direct: float) -> str:
    if value is None:
        return "saturated" if case.startswith("paced") else "broke down"
    if case == "start":
        return f"{value['start_ms']:.2f}"
    if case == "first":
        return f"{(value['first_us'] - direct) / 1000:.2f}"
    if "flat" in case:
        return f"{value['per_second']:,.0f} ({value['us']:.2f} µs each)"
    # Late tokens count for nothing: what falls behind has gathered them.
    if value["per_second"] < 0.9 * value["due"] or value["busy"] > 0.97:
        return f"saturated ({value['us']:.1f})"
    return f"{value['us']:.1f}" + (f" (× {value['us'] / nginx['us']:.1f})" if nginx and nginx is not value else "")


def _memory(names: dict[str, str], memory: dict[str, list[float]]) -> str:
    lines = ["## Memory\n", "| relay | KiB with no stream | KiB per open stream, 500 | 2,000 |", "|---|---|---|---|"]
    for name, (none, some, many) in memory.items():
        lines.append(f"| {names[name]} | {none:,.0f} | {(some - none) / 500:.0f} | {(many - none) / 2000:.0f} |")
    return "\n".join(lines) + "\n"


def _plot(names: dict[str, str], found: Found, memory: dict[str, list[float]]) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    cpu = {
        name: [(int(case[6:]), value["us"]) for case, value in by_case.items() if case.startswith("paced")]
        for name, by_case in found.items()
    }
    kept = {
        name: [(n, k / 1024) for n, k in zip([0, 500, 2000], taken, strict=True)] for name, taken in memory.items()
    }
    for file, title, series in (("cpu.svg", "CPU per token, µs", cpu), ("memory.svg", "Memory, MiB", kept)):
        if not series:
            continue
        figure, axes = pyplot.subplots(figsize=(7, 4))
        for name, points in series.items():
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=names[name])
        axes.set(xlabel="open streams", ylabel=title, ylim=(0, None))
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(HERE / file, bbox_inches="tight")
        pyplot.close(figure)
