"""`millstream usage`: what all keys have used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest

import click

from millstream.access import ANYONE
from millstream.limits.bounds import bounds
from millstream.limits.purses import Purse
from millstream.settings import SettingError, Settings, load
from millstream.settings.budgets import parse
from millstream.settings.prices import plain
from millstream.usage import COLUMNS, Ledger, Unwritable
from millstream.usage.report import to_csv, to_text
from millstream.usage.sums import first_day, total

DAYS = 30


@click.command()
@click.option("--by", default="day", show_default=True, help=f"Some of {', '.join(COLUMNS)}, separated by commas.")
@click.option("--days", default=DAYS, show_default=True, type=click.IntRange(1), help="How many days; today is last.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
def usage(by: str, days: int, as_csv: bool) -> None:
    """Show what was used, and what it cost. Days are UTC. Works while the server runs."""
    names = [name.strip() for name in by.split(",")]
    if wrong := [name for name in names if name not in COLUMNS]:
        raise click.BadParameter(f"{wrong[0]!r} is none of {', '.join(COLUMNS)}", param_hint="--by")
    now = datetime.now(UTC)
    try:
        settings = load()
        ledger = Ledger(settings.database)
        parts = ledger.sums(names, first_day(days, now.date()))
        budgets = list(_budgets(settings, ledger, now)) if not as_csv else []
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    except Unwritable as error:
        raise click.ClickException(f"the ledger can't be read: {error}") from None
    click.echo(to_csv(parts, names) if as_csv else to_text(parts, names), nl=False)
    if budgets:
        click.echo("\n" + "\n".join(budgets))


def _budgets(settings: Settings, ledger: Ledger, now: datetime) -> Iterator[str]:
    """A line for each key that has one, and for all together."""
    names = [key.name for key in settings.keys] or [ANYONE]
    own = {name: bounds(settings, key).budget for name, key in zip_longest(names, settings.keys)}
    for name, budget in [*own.items(), ("", parse(settings.budget_total))]:
        if budget is not None:
            costs = total(ledger.sums((), Purse(name, budget, now).begun, name or None)).costs
            spent = plain(costs.get(settings.currency, Decimal(0)))
            limit = f"{plain(budget.amount)} {settings.currency}"
            yield f"budget of {name or 'all keys'} for this {budget.period}: {spent} of {limit} spent"
