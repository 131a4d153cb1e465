"""The spent part of a budget. In the storage an amount is a whole number of UNITs, so that sums are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from msgspec import Struct

from millstream.limits.book import Book
from millstream.limits.storage import Storage
from millstream.settings import Settings
from millstream.settings.budgets import Budget, parse

UNIT = Decimal("1e-12")  # a cost has at most twelve places; 64 bits hold nine millions
KEPT = timedelta(days=2)  # behind its period's end, for answers that end late


class Purse(Struct, frozen=True):
    """The spending of one caller in one period; without an owner, the spending of all callers."""

    owner: str
    budget: Budget
    day: datetime

    @property
    def key(self) -> str:
        return f"cost/{self.owner}/{self.budget.period}/{self.begun}"

    @property
    def begun(self) -> str:
        """The period's first day."""
        return str(self.budget.begins(self.day.date()))

    @property
    def left(self) -> float:
        """Seconds until it is full again."""
        return (self._end - datetime.now(UTC)).total_seconds()

    @property
    def expiry(self) -> int:
        return max(1, int(self.left + KEPT.total_seconds()))

    @property
    def _end(self) -> datetime:
        return datetime.combine(self.budget.ends(self.day.date()), time(), UTC)


class Spent(Struct, frozen=True):
    """The amount spent from a purse."""

    purse: Purse
    amount: Decimal

    @property
    def remaining(self) -> Decimal:
        return max(Decimal(0), self.purse.budget.amount - self.amount)


class Purses:
    """The purses of all callers, in one storage. `spent` returns earlier spending: a budget that is set in mid-month
    counts from the month's beginning."""

    def __init__(self, storage: Storage, book: Book, spent: Callable[[str, str], Decimal]) -> None:
        self._storage = storage
        self._book = book
        self._spent = spent
        self._filled: set[str] = set()

    def take(self, settings: Settings) -> None:
        self.currency = settings.currency
        self.total = parse(settings.budget_total)

    def of(self, name: str, own: Budget | None, day: datetime | None = None) -> list[Purse]:
        """Return the purses that pay for an answer of this caller, begun on this day."""
        day = day or datetime.now(UTC)
        mine = [Purse(name, own, day)] if own else []
        return mine + ([Purse("", self.total, day)] if self.total else [])

    def fill(self, purses: Iterable[Purse], run: Callable[[Callable[[], int]], int]) -> None:
        """Add earlier spending to each purse before its first use. `run` runs a job of the storage."""
        for purse in purses:
            if purse.key in self._filled:
                continue
            mark = f"{purse.key}/filled"
            if not run(partial(self._storage.get, mark)):
                amount = units(self._spent(purse.owner, purse.begun))
                if run(partial(self._storage.incr, mark, purse.expiry)) == 1:  # no other worker was faster
                    run(partial(self._storage.incr, purse.key, purse.expiry, amount))
            self._filled.add(purse.key)

    def read(self, purses: Iterable[Purse]) -> list[Spent]:
        """Read the amounts, in a job of the storage."""
        return [Spent(purse, self._storage.get(purse.key) * UNIT) for purse in purses]

    def pay(self, purses: Iterable[Purse], cost: str) -> None:
        for purse in sorted(purses, key=lambda purse: purse.owner):  # that of all first: who sees his own sees both
            self._book.count(purse.key, units(Decimal(cost)), purse.expiry)


def nothing(name: str, since: str) -> Decimal:
    return Decimal(0)


def units(cost: Decimal) -> int:
    return int(cost / UNIT)
