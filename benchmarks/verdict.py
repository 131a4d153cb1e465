"""Whether the ledger, the upstream and the soak's clients tell the same story."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from askers import Asker
from faults import Trouble, Upstream
from story import Finding

from tests.system.clients import Waiting

REASONS = {"cut": "upstream_broke", "refuse": "upstream_refused", "stall": "silence_timeout"}


def rows_of(database: Path) -> dict[str, sqlite3.Row]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["id"]: row for row in connection.execute("SELECT * FROM usage")}


def wrong_in(row: sqlite3.Row, asker: Asker, kills: list[float]) -> str:
    """What is, between a row of the ledger and the answer that its client got; "" if nothing."""
    killed = any(asker.began <= kill <= asker.ended for kill in kills)
    expected = {"stop"} if not asker.status else {REASONS.get(asker.kind, ""), "interrupted" if killed else ""}
    if row["reason"] not in expected:
        return f"ended as {row['reason']}, with {asker.status or 'everything'}"
    tokens = asker.logged.count("🌊")
    if not asker.status and (row["source"], row["output"]) != ("upstream", tokens):
        return f"counted as {row['output']} tokens ({row['source']}) instead of {tokens}"
    return "" if bool(row["output"]) == bool(tokens) else f"counted as {row['output']} tokens with {tokens}"


def wrong(askers: list[Asker], database: Path, upstream: Upstream, trouble: Trouble) -> list[Finding]:
    """What the ledger and the upstream's count show."""
    known = {asker.client.id: asker for asker in askers if asker.client.id}
    rows = with_rows(database, known, trouble)
    found = [Finding("no row", known[id]) for id in known.keys() - rows.keys()]
    for id in known.keys() & rows.keys():
        if what := wrong_in(rows[id], known[id], trouble.kills):
            found.append(Finding(what, known[id]))
    # A stream whose worker died before its first event frees its key: who had not heard of it asks anew.
    silent = [row for id, row in rows.items() if id not in known]
    # Who waits for the whole answer never hears of an id: where its worker died it gets an error alone.
    nameless = sum(isinstance(asker.client, Waiting) and not asker.client.id for asker in askers)
    if sum(bool(row["output"]) for row in silent) > nameless:
        found.append(Finding(f"tokens that nobody got: {[row['id'] for row in silent if row['output']]}"))
    again = sum(times - 1 for times in upstream.times.values())
    if again > len(silent):
        twice = [number for number, times in upstream.times.items() if times > 1]
        found.append(Finding(f"{again} questions were asked again, {len(silent)} had to be: {twice}"))
    return found


def with_rows(database: Path, ids: Collection[str], trouble: Trouble) -> dict[str, sqlite3.Row]:
    """Waits for them. What a killed worker had not written is found by one that begins, once that has been dead for
    10 s (or by any, within a minute more)."""
    end = time.monotonic() + 30
    while set(ids) - (rows := rows_of(database)).keys() and time.monotonic() < end:
        time.sleep(3)
        trouble.reload()
    return rows
