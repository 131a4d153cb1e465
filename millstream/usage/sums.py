"""Sums over the ledger's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Select, case, func, select

from millstream.usage.table import Money, usage

# Columns to group the sums by.
COLUMNS = {
    "day": usage.c.day,
    "key": usage.c.caller,
    "model": usage.c.model,
    "upstream": usage.c.upstream,
    "reason": usage.c.reason,
}


class Sum(Struct):
    """The sums of one group, whose values are `by`. Of all `answers`, `estimated` counts those whose tokens the
    upstream did not report, and `unpriced` those with tokens but no price. `costs` are by currency."""

    by: tuple[str, ...]
    answers: int = 0
    input: int = 0
    output: int = 0
    estimated: int = 0
    unpriced: int = 0
    costs: dict[str, Decimal] = {}

    def add(self, other: Sum) -> None:
        self.answers += other.answers
        self.input += other.input
        self.output += other.output
        self.estimated += other.estimated
        self.unpriced += other.unpriced
        for currency, amount in other.costs.items():
            self.costs[currency] = self.costs.get(currency, Decimal(0)) + amount


def query(by: Sequence[str], since: str, caller: str | None, exact_sum: str) -> Select[Any]:
    """Build the query of `sums`. `exact_sum` is the name of the database's function for exact sums."""
    c = usage.c
    columns = [COLUMNS[name] for name in by]
    asked = select(
        func.count().label("answers"),
        func.coalesce(func.sum(c.input, type_=BigInteger), 0).label("input"),
        func.coalesce(func.sum(c.output, type_=BigInteger), 0).label("output"),
        func.sum(case((c.source == "estimated", 1), else_=0)).label("estimated"),
        func.sum(case((c.source.is_not(None) & c.cost.is_(None), 1), else_=0)).label("unpriced"),
        getattr(func, exact_sum)(c.cost, type_=Money).label("cost"),
        c.currency,
        *columns,
    ).where(c.day >= since)
    if caller is not None:
        asked = asked.where(c.caller == caller)
    return asked.group_by(c.currency, *columns).order_by(*columns)


def sums(found: Sequence[Any], by: Sequence[str]) -> list[Sum]:
    """Sum the query's rows, in their order; amounts in several currencies stay apart."""
    groups: dict[tuple[str, ...], Sum] = {}
    for row in found:
        costs = {row.currency: row.cost} if row.currency else {}
        key = tuple(row[-len(by) :]) if by else ()
        answers, input, output, estimated, unpriced = map(int, row[:5])
        groups.setdefault(key, Sum(key)).add(Sum(key, answers, input, output, estimated, unpriced, costs))
    return list(groups.values())


def total(parts: Iterable[Sum]) -> Sum:
    """Add up all parts."""
    whole = Sum(())
    for part in parts:
        whole.add(part)
    return whole


def regroup(parts: Iterable[Sum], place: int) -> dict[str, Sum]:
    """Group the sums by one of their columns alone."""
    groups: dict[str, Sum] = {}
    for part in parts:
        name = part.by[place]
        groups.setdefault(name, Sum((name,))).add(part)
    return groups


def first_day(days: int, today: date) -> str:
    """The first of so many days, today the last."""
    return (today - timedelta(days=days - 1)).isoformat()
