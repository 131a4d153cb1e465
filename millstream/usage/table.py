"""The ledger's one table, and a row's way into it. Any database that SQLAlchemy speaks to can hold it.

https://docs.sqlalchemy.org/en/21/core/metadata.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Double, Index, MetaData, Numeric, String, Table
from sqlalchemy.types import TypeDecorator, TypeEngine

from millstream.streams import Row

LONGEST = {"caller": 100, "model": 255, "upstream": 100, "reason": 50}  # characters


class Money(TypeDecorator[Decimal]):
    """A decimal amount, exact. Of SQLite's own kinds of number none is, so there it is text."""

    impl = Numeric(38, 12)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(60) if dialect.name == "sqlite" else Numeric(38, 12))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


metadata = MetaData()
usage = Table(
    "usage",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created", Double, nullable=False),  # Unix time
    Column("day", String(10), nullable=False),  # UTC, 2026-01-31
    Column("caller", String(LONGEST["caller"]), nullable=False),
    Column("api", String(20), nullable=False),
    Column("model", String(LONGEST["model"]), nullable=False),
    Column("upstream", String(LONGEST["upstream"]), nullable=False),
    Column("input", BigInteger),
    Column("output", BigInteger),
    Column("source", String(10)),  # upstream or estimated
    Column("cost", Money),
    Column("currency", String(3)),
    Column("first_token", Double),  # s
    Column("duration", Double, nullable=False),  # s
    Column("reason", String(LONGEST["reason"]), nullable=False),
    Index("usage_by_day", "day", "caller"),
)


def values(row: Row) -> dict[str, Any]:
    """Return the row's values for the table."""
    texts = {name: _clean(getattr(row, name), most) for name, most in LONGEST.items()}
    return {
        "id": row.id,
        "created": row.created,
        "day": datetime.fromtimestamp(row.created, UTC).date().isoformat(),
        **texts,
        "api": row.api,
        "input": row.usage.input if row.usage else None,
        "output": row.usage.output if row.usage else None,
        "source": row.usage.source if row.usage else None,
        "cost": None if row.cost is None else Decimal(row.cost),
        "currency": row.currency,
        "first_token": row.first_token,
        "duration": row.duration,
    }


def _clean(text: str, most: int) -> str:
    """A name may be whatever a client sends: PostgreSQL takes no NUL, nobody half of a surrogate pair."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:most])
