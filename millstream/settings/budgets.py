"""Budgets: the money that may be spent in a period, such as `10/month`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from millstream.settings.values import SettingError

BUDGET = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)\s*(?:/|per)\s*(day|week|month)")


@dataclass(frozen=True)
class Budget:
    """`amount` in the currency of the prices. Days are UTC's, weeks begin on Monday."""

    amount: Decimal
    period: str

    def begins(self, day: date) -> date:
        """The first day of the period that this day is in."""
        back = {"day": 0, "week": day.weekday(), "month": day.day - 1}[self.period]
        return day - timedelta(days=back)

    def ends(self, day: date) -> date:
        """The first day of the next one."""
        begun = self.begins(day)
        if self.period == "month":
            return (begun + timedelta(days=31)).replace(day=1)
        return begun + timedelta(days={"day": 1, "week": 7}[self.period])


def as_budget(name: str, value: Any) -> str:
    """The same as Budget takes it; "" and 0 mean none. Raises SettingError."""
    text = str(value).strip()
    if text in ("", "0"):
        return ""
    if not BUDGET.fullmatch(text):
        raise SettingError(
            f"{name} is {value!r}; it has to be an amount and a period, day, week or month: 10/month; 0 for none"
        )
    return text


def parse(text: str) -> Budget | None:
    """Parse a text that `as_budget` has checked."""
    match = BUDGET.fullmatch(text)
    return Budget(Decimal(match[1]), match[2]) if match else None
