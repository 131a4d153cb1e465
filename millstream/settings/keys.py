"""The `[keys.NAME]` tables: who may ask, and how much."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from millstream.settings.budgets import as_budget
from millstream.settings.values import SettingError, boolean, meant, names, number, tables

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
DIGEST = re.compile(r"[0-9a-f]{64}")
NUMBERS = ("requests_per_minute", "streams", "tokens_per_day", "max_prompt", "max_tokens")


@dataclass(frozen=True)
class KeySettings:
    """One access key. The ledger and the log call its holder `name`. A limit of None means the server's limit; 0
    means unlimited."""

    name: str
    sha256: str  # of the key, in hexadecimal; the key itself is nowhere
    operator: bool = False  # may see /metrics and /doctor
    models: tuple[str, ...] = ()  # the only ones it may ask; () means all
    requests_per_minute: int | None = None
    streams: int | None = None  # at the same time
    tokens_per_day: int | None = None
    max_prompt: int | None = None  # characters of a question with its conversation
    max_tokens: int | None = None  # of an answer
    budget: str | None = None  # 10/month; "" is none
    keep: bool | None = None  # whether its answers may go on though nobody follows


KEY_OWN = {item.name for item in fields(KeySettings)} - {"name"}


def read_keys(document: Any) -> tuple[KeySettings, ...]:
    """Read the table of keys. Raises SettingError, which never shows a digest."""
    found: dict[str, KeySettings] = {}  # by digest
    for name, table in tables("keys", document).items():
        key = _key(name, table)
        if other := found.get(key.sha256):
            raise SettingError(f"keys.{name} has the same sha256 as keys.{other.name}; whose key is it?")
        found[key.sha256] = key
    return tuple(found.values())


def _key(name: str, table: dict[str, Any]) -> KeySettings:
    where = f"keys.{name}"
    if not NAME.fullmatch(name):
        raise SettingError(f"keys.{name!r:.50}: a key's name has up to 40 letters, digits, _, . and -")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == "sha256":
            if not isinstance(value, str) or not DIGEST.fullmatch(value.lower()):
                raise SettingError(f"{where}.sha256 has to be 64 hexadecimal digits; `millstream keys add` writes it")
            values[key] = value.lower()
        elif key in ("operator", "keep"):
            values[key] = boolean(f"{where}.{key}", value)
        elif key == "models":
            values[key] = names(f"{where}.{key}", value)
        elif key == "budget":
            values[key] = as_budget(f"{where}.{key}", value)
        elif key in NUMBERS:
            values[key] = number(f"{where}.{key}", value, int, 0, "")
        else:
            raise SettingError(f"{where}.{key} is not a setting of a key{meant(key, KEY_OWN)}")
    if "sha256" not in values:
        raise SettingError(f"{where} has no sha256; `millstream keys add {name}` makes a key")
    return KeySettings(name=name, **values)
