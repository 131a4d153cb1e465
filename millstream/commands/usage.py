"""`millstream usage`: what all keys have used."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from millstream.settings import SettingError, load
from millstream.usage import COLUMNS, Ledger, Unwritable
from millstream.usage.report import to_csv, to_text
from millstream.usage.sums import first_day

DAYS = 30


@click.command()
@click.option("--by", default="day", show_default=True, help=f"Some of {', '.join(COLUMNS)}, separated by commas.")
@click.option("--days", default=DAYS, show_default=True, type=click.IntRange(1), help="How many days; today is last.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, for a spreadsheet.")
def usage(by: str, days: int, as_csv: bool) -> None:
    """Show what was used, and what it cost. Days are UTC. Works while the server runs."""
    names = [name.strip() for name in by.split(",")]
    if wrong := [name for name in names if name not in COLUMNS]:
        raise click.BadParameter(f"{wrong[0]!r} is none of {', '.join(COLUMNS)}", param_hint="--by")
    try:
        parts = Ledger(load().database).sums(names, first_day(days, datetime.now(UTC).date()))
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    except Unwritable as error:
        raise click.ClickException(f"the ledger can't be read: {error}") from None
    click.echo(to_csv(parts, names) if as_csv else to_text(parts, names), nl=False)
