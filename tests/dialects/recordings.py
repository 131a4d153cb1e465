"""What real clients sent: one JSON object a line, `name` is client.case.number."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def requests(dialect):
    """(name, body) of every recorded request."""
    lines = (HERE / "requests" / f"{dialect}.jsonl").read_text("utf-8").splitlines()
    return [(found["name"], found["body"]) for found in map(json.loads, lines)]
