"""What a setting may be: each check raises SettingError with a sentence for the operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class SettingError(Exception):
    """A setting is wrong: the message names it, its value (never a secret's) and what is allowed."""


class Secret:
    """A key. Shows nothing of itself in logs and messages; `reveal()` gives it for the wire."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret()"

    def reveal(self) -> str:
        return self._value


def boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off", ""):
        return False
    raise SettingError(f"{name} is {value!r}; it has to be 1 or 0")


def number(name: str, value: Any, kind: type[int] | type[float], at_least: float | None, unit: str) -> Any:
    wanted = f"a {'whole ' if kind is int else ''}number{f' of {unit}' if unit else ''}"
    if at_least is not None:
        wanted += f", {at_least:g} or more"
    try:
        if isinstance(value, bool):
            raise ValueError
        found = kind(value)
        if kind is int and float(value) != found:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"{name} is {value!r}; it has to be {wanted}") from None
    if found != found or found == float("inf") or (at_least is not None and found < at_least):
        raise SettingError(f"{name} is {value!r}; it has to be {wanted}")
    return found


def names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise SettingError(f"{name} is {value!r}; it has to be a list of names")
    return tuple(value)


def from_environment(name: str, value: Any, environ: Mapping[str, str]) -> Any:
    if not (isinstance(value, str) and value.startswith("env:")):
        return value
    variable = value[4:]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise SettingError(f"{name} begins with env: and has no variable's name behind it")  # but possibly a key
    if not environ.get(variable):
        raise SettingError(f"{name} is {value!r}, but the environment has no {variable}")
    return environ[variable]


def tables(name: str, value: Any) -> dict[str, dict[str, Any]]:
    """What the file has under `[name.…]`: tables by their names."""
    if not isinstance(value, dict):
        raise SettingError(f"{name} has to be tables, one for each: [{name}.NAME]")
    for key, table in value.items():
        if not isinstance(table, dict):
            raise SettingError(f"{name}.{key} has to be a table: [{name}.{key}]")
    return value
