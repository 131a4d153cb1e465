"""Find the line of the settings file that an error is about."""

from __future__ import annotations

import re

PART = r"""[\w-]+|"[^"]*"|'[^']*'"""
NAME = re.compile(rf"(?:{PART})(?:\s*\.\s*(?:{PART}))*")
HEADER = re.compile(rf"\s*\[\s*({NAME.pattern})\s*\]")
KEY = re.compile(rf"\s*({NAME.pattern})\s*=")


def line_of(text: str, message: str) -> int | None:
    """The number of the line that sets what the message's first word names, or of the table that it is missing in.
    None where the file has neither: then the environment set it."""
    wanted = _parts(named[0]) if (named := NAME.match(message)) else []
    table: list[str] = []
    nearest = None
    for number, line in enumerate(text.splitlines(), 1):
        if found := HEADER.match(line):
            here = table = _parts(found[1])
            if wanted == here[: len(wanted)]:  # [upstream.a] where `upstream` is meant
                return number
        elif found := KEY.match(line):
            here = table + _parts(found[1])
        else:
            continue
        if here == wanted:
            return number
        if here == wanted[:-1]:
            nearest = nearest or number
    return nearest


def _parts(name: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(PART, name)]
