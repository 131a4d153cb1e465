"""Rows for the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from millstream.events import Usage
from millstream.streams import Row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = 86400.0


def row(id: object, **more: object) -> Row:
    facts = {
        "caller": "team",
        "api": "chat",
        "model": "m",
        "upstream": "u",
        "created": NOON,
        "duration": 1.5,
        "first_token": 0.2,
        "usage": Usage(10, 20),
        "reason": "stop",
        "cost": "0.0001",
        "currency": "USD",
    }
    return Row(id=str(id), **{**facts, **more})
