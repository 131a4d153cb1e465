"""The `[prices."MODEL"]` tables: what a million tokens cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from millstream.events import Usage
from millstream.settings.values import SettingError, tables

MILLION = 1_000_000
MOST = Decimal(MILLION)  # of a price; what is above is a slip of the pen
PLACES = 6  # behind a price's point: then a cost has at most twelve, in the log as in any database
CURRENCY = re.compile(r"[A-Z]{3}")  # ISO 4217


@dataclass(frozen=True)
class Price:
    """The price of one model, for a million tokens of prompt and of answer."""

    model: str
    input: Decimal
    output: Decimal

    def cost(self, usage: Usage) -> Decimal:
        return (usage.input * self.input + usage.output * self.output) / MILLION


def cost(prices: Iterable[Price], models: Iterable[str], usage: Usage | None) -> str | None:
    """Return the cost of the tokens as a plain decimal, by the first of these models that has a price. Return None if
    none has a price or the tokens are unknown."""
    known = {price.model: price for price in prices}
    price = next((known[model] for model in models if model in known), None)
    if price is None or usage is None:
        return None
    return plain(price.cost(usage))


def plain(amount: Decimal) -> str:
    """0.0004, not 4E-4, nor 0.000400."""
    return format(amount.normalize(), "f")


def read_prices(document: Any) -> tuple[Price, ...]:
    """Read the table of prices. Raises SettingError."""
    return tuple(_price(model, table) for model, table in tables("prices", document).items())


def _price(model: str, table: Mapping[str, Any]) -> Price:
    where = f'prices."{model}"'
    if unknown := set(table) - {"input", "output"}:
        raise SettingError(f"{where}.{min(unknown)} is not part of a price; a price has input and output")
    if missing := {"input", "output"} - set(table):
        raise SettingError(f"{where} has no {min(missing)}; it is a price per million tokens, and may be 0")
    return Price(model, _amount(f"{where}.input", table["input"]), _amount(f"{where}.output", table["output"]))


def _amount(name: str, value: Any) -> Decimal:
    """Read an amount digit by digit, because 0.27 is not a binary fraction. Texts are accepted, too."""
    try:
        if isinstance(value, bool):
            raise TypeError
        amount = Decimal(value if isinstance(value, str) else repr(value))
        if not 0 <= amount <= MOST or amount != round(amount, PLACES):
            raise ValueError
    except (TypeError, ValueError, InvalidOperation):
        raise SettingError(
            f"{name} is {value!r}; it has to be a price per million tokens, 0 to {MOST:f}, such as 0.27"
        ) from None
    return amount


def currency(name: str, value: Any) -> str:
    """Check the name of a currency. Raises SettingError."""
    if not isinstance(value, str) or not CURRENCY.fullmatch(value):
        raise SettingError(f"{name} is {value!r}; it has to be three capital letters, such as USD")
    return value
