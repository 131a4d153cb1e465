"""Foreign JSON, held to bounds before Python makes objects of it: `[]` ten million times is 20 MiB, and takes 600.

https://www.rfc-editor.org/rfc/rfc8259#section-9 allows such limits.
"""

from __future__ import annotations

import re

DEEPEST = 100  # levels of nesting
MOST = 200_000  # values; a conversation of a thousand messages has some 5,000

# The closing quote is optional, so that an open string is read only once.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def check(document: bytes) -> None:
    """Raise ValueError for a document with more than MOST values or more than DEEPEST levels. It does not check
    whether the document is JSON."""
    opened = document.count(b"[") + document.count(b"{")
    if opened <= DEEPEST and document.count(b",") + opened < MOST:
        return
    bare, strings = _STRING.subn(b"", document, 2 * MOST + 1)  # names are strings, too
    if strings > 2 * MOST or bare.count(b",") + bare.count(b"[") + bare.count(b"{") >= MOST:
        raise ValueError(f"it has more than {MOST} values")
    depth = 0
    for bracket in _BRACKET.findall(bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
