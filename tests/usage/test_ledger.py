"""One row for each stream, whoever tells of it; and sums that are exact. In SQLite and in PostgreSQL."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from millstream.events import Usage
from millstream.usage import COLUMNS, Ledger, Sum
from tests.usage.samples import DAY, NOON, row

SINCE = "2026-01-01"


def answers(ledger: Ledger) -> int:
    return sum(part.answers for part in ledger.sums(["day"], SINCE))


def test_an_empty_ledger_has_no_sums(ledger):
    assert ledger.sums(["day"], SINCE) == []


def test_a_row_that_comes_again_counts_once(ledger):
    ledger.write([row(1), row(2)])
    ledger.write([row(2, model="other"), row(3), row(3)])
    ledger.write([row(1)])
    assert [(part.by, part.answers) for part in ledger.sums(["model"], SINCE)] == [(("m",), 3)]


def test_of_several_that_write_the_same_rows_at_once_each_counts_once(ledger, address):
    ledger.check()
    ledgers = [Ledger(address) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda one=one: [one.write([row(n), row(n + 1), row(n + 2)]) for n in range(60)])
        for one in ledgers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers(ledger) == 62


def test_sums_are_by_what_was_asked_for_and_in_its_order(ledger):
    ledger.write(
        [
            row(1, created=NOON, model="b"),
            row(2, created=NOON, model="a", caller="me"),
            row(3, created=NOON - DAY, model="a", usage=Usage(1, 2, "estimated"), cost=None, currency=None),
            row(4, created=NOON - 100 * DAY),
        ]
    )
    since = "2026-02-28"
    assert [(part.by, part.input, part.output) for part in ledger.sums(["day", "model"], since)] == [
        (("2026-02-28", "a"), 1, 2),
        (("2026-03-01", "a"), 10, 20),
        (("2026-03-01", "b"), 10, 20),
    ]
    assert [part.by for part in ledger.sums(["key"], since)] == [("me",), ("team",)]
    assert [part.by for part in ledger.sums(["day"], since, "me")] == [("2026-03-01",)]
    assert len(ledger.sums(list(COLUMNS), since)) == 3
    (mine,) = ledger.sums(["model"], since, "nobody") or [None]
    assert mine is None


def test_a_days_boundary_is_utcs_midnight(ledger):
    midnight = NOON - DAY / 2
    ledger.write([row(1, created=midnight - 0.001), row(2, created=midnight)])
    assert [part.by for part in ledger.sums(["day"], SINCE)] == [("2026-02-28",), ("2026-03-01",)]


def test_amounts_are_exact_and_currencies_stay_apart(ledger):
    rows = [row(n, cost="0.000000000001") for n in range(1000)]
    rows += [row(f"c{n}", cost="0.1", currency="CNY") for n in range(3)]
    rows += [row("big", cost="12345678901234.1")]
    rows += [row("none", cost=None, currency=None), row("unknown", cost=None, currency=None, usage=None)]
    ledger.write(rows)
    (part,) = ledger.sums(["model"], SINCE)
    assert part.costs == {"USD": Decimal("12345678901234.100000001"), "CNY": Decimal("0.3")}
    assert (part.answers, part.unpriced) == (1006, 1)


def test_estimates_are_counted_apart(ledger):
    ledger.write([row(1), row(2, usage=Usage(3, 4, "estimated")), row(3, usage=None, cost=None, currency=None)])
    (part,) = ledger.sums(["model"], SINCE)
    assert part == Sum(("m",), 3, 13, 24, 1, 0, {"USD": Decimal("0.0002")})


@pytest.mark.parametrize(
    "odd",
    [
        {"model": "x" * 1000},
        {"model": "a\0b\ud800\r\n"},
        {"caller": "'; DROP TABLE usage; --"},
    ],
)
def test_an_odd_row_is_kept_too(ledger, odd):
    ledger.write([row(1), row(2, **odd), row(3)])
    assert answers(ledger) == 3
    (name,) = {part.by for part in ledger.sums(["key", "model"], SINCE)} - {("team", "m")} or {("team", "m")}
    assert all(text.isprintable() and len(text) <= 255 for text in name)


def test_a_row_that_can_not_be_kept_holds_no_other_back(ledger, caplog):
    ledger.write([row(1), row(2, usage=Usage(10**30, 1)), row(3)])
    assert answers(ledger) == 2
    assert "a row that the ledger refuses" in caplog.text
    assert '"id":"2"' in caplog.text


def test_what_is_written_goes_into_the_file_that_is_there_now(tmp_path):
    path = tmp_path / "usage.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.write([row(1)])
    kept = ledger._kept
    ledger.write([row(2)])
    assert ledger._kept is kept is not None
    path.rename(tmp_path / "older.db")  # somebody begins a new one
    ledger.write([row(3)])
    assert (answers(ledger), ledger._kept is kept) == (1, False)
    ledger.close()
