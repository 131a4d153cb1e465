"""Sums as text for people and as CSV for programs: https://www.rfc-editor.org/rfc/rfc4180"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from millstream.settings.prices import plain
from millstream.usage.sums import Sum, total

NUMBERS = ("answers", "input", "output", "estimated", "unpriced")


def to_csv(parts: Iterable[Sum], by: Sequence[str]) -> str:
    """A line for each group. Amounts in a second currency have a line of their own, whose counts are 0."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*by, *NUMBERS, "cost", "currency"])
    for part in parts:
        counts = [getattr(part, name) for name in NUMBERS]
        names = [_harmless(name) for name in part.by]
        for currency, amount in part.costs.items() or [("", None)]:
            writer.writerow([*names, *counts, "" if amount is None else plain(amount), currency])
            counts = [0] * len(counts)
    return file.getvalue()


def to_text(parts: Sequence[Sum], by: Sequence[str]) -> str:
    """A table, its last line the total."""
    lines = [[*by, "answers", "tokens in", "out", "cost"]]
    lines += [[*part.by, *_shown(part)] for part in parts]
    if by and len(parts) != 1:
        lines.append(["total", *[""] * (len(by) - 1), *_shown(total(parts))])
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    left = len(by)
    return "".join(
        "  ".join(
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def to_object(part: Sum) -> dict[str, Any]:
    """The sums for JSON. Amounts are decimals as text, by currency."""
    return {
        **{name: getattr(part, name) for name in NUMBERS},
        "cost": {currency: plain(amount) for currency, amount in part.costs.items()},
    }


def cost_of(part: Sum) -> str:
    """ "0.0123 USD"; with a + behind it where there are answers without a price; "–" where nothing has one."""
    amounts = " + ".join(f"{plain(amount)} {currency}" for currency, amount in part.costs.items())
    return amounts + (" +" if part.unpriced else "") if amounts else "–"


def _shown(part: Sum) -> list[str]:
    about = "~" if part.estimated else ""
    return [f"{part.answers:,}", about + f"{part.input:,}", about + f"{part.output:,}", cost_of(part)]


def _harmless(name: str) -> str:
    """A model's name is what a client asked for, and spreadsheets take some beginnings for formulas."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name
