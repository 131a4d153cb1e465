"""What may be spent in a period."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from millstream.settings import SettingError
from millstream.settings.budgets import Budget, as_budget, parse


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10/month", Budget(Decimal(10), "month")),
        (" 0.25 per day ", Budget(Decimal("0.25"), "day")),
        ("7 / week", Budget(Decimal(7), "week")),
        ("", None),
        (0, None),
    ],
)
def test_an_amount_and_a_period(text, budget):
    assert parse(as_budget("budget", text)) == budget


@pytest.mark.parametrize(
    "text", ["10", "10/year", "ten/month", "-1/day", "1e3/day", "10 USD/month", "1e-7/day", True]
)
def test_what_is_no_budget_is_said_with_an_example(text):
    with pytest.raises(SettingError, match=r"keys.a.budget is .*; it has to be .* 10/month"):
        as_budget("keys.a.budget", text)


@pytest.mark.parametrize(
    ("period", "day", "begins", "ends"),
    [
        ("day", date(2026, 12, 31), date(2026, 12, 31), date(2027, 1, 1)),
        ("week", date(2026, 11, 27), date(2026, 11, 23), date(2026, 11, 30)),
        ("week", date(2027, 1, 1), date(2026, 12, 28), date(2027, 1, 4)),
        ("month", date(2028, 2, 29), date(2028, 2, 1), date(2028, 3, 1)),
        ("month", date(2026, 12, 1), date(2026, 12, 1), date(2027, 1, 1)),
    ],
)
def test_periods_are_those_of_the_calendar(period, day, begins, ends):
    budget = Budget(Decimal(1), period)
    assert (budget.begins(day), budget.ends(day)) == (begins, ends)
