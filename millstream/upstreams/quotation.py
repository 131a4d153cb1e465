"""Quote an upstream's error message safely: short, without keys and control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from millstream.settings import Secret

LENGTH = 300  # characters of a quotation
HIDDEN = "[key]"

# Runs before shortening: a key that is cut would no longer match a rule.
_LOOKED_AT = 16_384
# Keys that aren't ours to know (`sk-…`, also masked: `sk-ab***yz`, `sk-ab...yz`), and what follows Bearer.
_KEYS = re.compile(r"(?i)\bbearer\s+[^\s\"'<>]+|\bsk-[\w.*…-]+")
# Words that may contain stars: providers quote a refused key in part. Each character is read once.
_WORDS = re.compile(r"[\w*-]+")
# U+2028, U+2029 and the marks that change the writing direction count as control characters, too.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
# So many consecutive characters of our own key count as a part of it.
_PART = 6


def quote(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return at most LENGTH characters of the text on one line, with all secrets and keys hidden."""
    text = text[:_LOOKED_AT]
    for secret in secrets:
        text = _without(text, secret.reveal())
    text = _WORDS.sub(lambda word: HIDDEN if "**" in word[0] else word[0], _KEYS.sub(HIDDEN, text))
    text = " ".join(_CONTROLS.sub(" ", text).split())
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _without(text: str, key: str) -> str:
    """Hide every part of the text that occurs in the key, and the key's tail."""
    if not key:
        return text
    if len(key) <= _PART:
        return text.replace(key, HIDDEN)
    parts = {key[at : at + _PART] for at in range(len(key) - _PART + 1)}
    kept: list[str] = []
    last = end = 0
    for at in range(len(text) - _PART + 1):
        if text[at : at + _PART] in parts:
            if at >= end:
                kept += text[last:at], HIDDEN
            last = end = at + _PART
    kept.append(text[last:])
    # "… ending in wxyz"
    return re.sub(rf"{re.escape(key[-4:])}\b", HIDDEN, "".join(kept))
