"""CPU per token and memory against the number of streams, as small SVG files."""

from __future__ import annotations

from installing import HERE

Figures = dict[str, dict[str, dict[str, float]]]
Series = dict[str, list[tuple[int, float]]]


def plot(labels: dict[str, str], figures: Figures) -> list[tuple[str, str]]:
    """Draws what was measured. The files' names, each with its title."""
    paced, kept = {}, {}
    for relay, label in labels.items():
        by_case = figures.get(relay, {})
        points = [(n, found["us"]) for n, found in _numbered(by_case, "paced-") if not found["saturated"]]
        if len(points) > 1:
            paced[label] = points
        if steps := [step for step in _numbered(by_case, "open-") if step[0] > 1]:
            kept[label] = [(0, steps[0][1]["kib_none"] / 1024)]
            kept[label] += [(n, (found["kib_none"] + n * found["kib"]) / 1024) for n, found in steps]
    drawn = [("cpu.svg", "CPU per token, µs, each stream 50 tokens/s", paced), ("memory.svg", "Memory, MiB", kept)]
    for file, title, series in drawn:
        if series:
            _draw(file, title, series)
    return [(file, title) for file, title, series in drawn if series]


def _numbered(by_case: dict[str, dict[str, float]], prefix: str) -> list[tuple[int, dict[str, float]]]:
    return sorted(
        ((int(case.removeprefix(prefix)), found) for case, found in by_case.items() if case.startswith(prefix)),
        key=lambda pair: pair[0],
    )


def _draw(file: str, title: str, series: Series) -> None:
    import matplotlib

    matplotlib.use("svg")
    # Text stays text: the file has a tenth of the size, and can be searched.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.family": "sans-serif"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for label, points in series.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    axes.set(xlabel="open streams", ylabel=title, ylim=(0, None), xlim=(0, None))
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / file, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
