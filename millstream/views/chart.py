"""Draw a bar for each day, as an SVG that uses only attributes: our pages may have no inline style."""

from __future__ import annotations

from typing import NamedTuple

WIDTH, HEIGHT = 600.0, 120.0
GAP = 0.2  # share of a bar's width
SMALLEST = 1.5  # height of the smallest bar


class Bar(NamedTuple):
    """The position and the values of one bar. The answers' part stands on the prompts' part."""

    x: str
    width: str
    input_y: str
    input_height: str
    output_y: str
    output_height: str
    day: str
    input: int
    output: int


class Chart(NamedTuple):
    width: float
    height: float
    most: int  # tokens of the highest bar
    bars: list[Bar]


def bars(days: list[tuple[str, int, int]]) -> Chart:
    """Make bars from (day, tokens of prompts, tokens of answers), in order."""
    most = max((input + output for _, input, output in days), default=0)
    place = WIDTH / max(len(days), 1)
    return Chart(WIDTH, HEIGHT, most, [_bar(n * place, place, most, *day) for n, day in enumerate(days)])


def _bar(x: float, place: float, most: int, day: str, input: int, output: int) -> Bar:
    whole = max(SMALLEST, HEIGHT * (input + output) / most) if input + output else 0.0
    upper = whole * output / (input + output) if whole else 0.0
    return Bar(
        x=f"{x + place * GAP / 2:.2f}",
        width=f"{place * (1 - GAP):.2f}",
        input_y=f"{HEIGHT - whole + upper:.2f}",
        input_height=f"{whole - upper:.2f}",
        output_y=f"{HEIGHT - whole:.2f}",
        output_height=f"{upper:.2f}",
        day=day,
        input=input,
        output=output,
    )
