"""Checks of settings: each raises SettingError with a sentence for the operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
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

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret()"

    def reveal(self) -> str:
        return self._value


SECRET_LEAST = 32  # characters
ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


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
        wanted = f': ["{value}"]' if isinstance(value, str) else ""
        raise SettingError(f"{name} is {value!r}; it has to be a list of names{wanted}")
    return tuple(value)


def origins(name: str, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check origins, written as by browsers: https://www.rfc-editor.org/rfc/rfc6454#section-6.1"""
    for item in value:
        if not ORIGIN.fullmatch(item):
            raise SettingError(
                f"{name} has {item!r}; a site is written as https://app.example, small and without a path"
            )
    return value


def secret(name: str, value: Any) -> Secret:
    """A text, or the name of a file."""
    if not isinstance(value, str) or not (value.startswith("file:") or len(value) >= SECRET_LEAST):
        raise SettingError(
            f"{name} has to be file:FILE, or {SECRET_LEAST} or more random characters: openssl rand -hex 32"
        )
    return Secret(value)


def unshown(name: str, value: Any) -> str:
    """A check for a setting that may hold a password."""
    if not isinstance(value, str):
        raise SettingError(f"{name} has to be text")
    return value


def one_of(*allowed: str) -> Callable[[str, Any], str]:
    """A check for a setting that is one of a few words."""

    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise SettingError(f"{name} is {value!r}; it has to be {' or '.join(allowed)}")
        return str(value)

    return check


def from_environment(name: str, value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str) and (shell := re.fullmatch(r"\$(\w+)|\$\{(\w+)\}|%(\w+)%", value)):
        variable = next(filter(None, shell.groups()))
        raise SettingError(
            f'{name} is {value!r}, as a shell has it; write {name.rpartition(".")[2]} = "env:{variable}"'
        )
    if not (isinstance(value, str) and value.startswith("env:")):
        return value
    variable = value[4:]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise SettingError(f"{name} begins with env: and has no variable's name behind it")  # but possibly a key
    if not environ.get(variable):
        raise SettingError(f"{name} is {value!r}, but the environment has no {variable}")
    return environ[variable]


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that nobody knows."""
    near = get_close_matches(name.rpartition(".")[2], list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def tables(name: str, value: Any) -> dict[str, dict[str, Any]]:
    """Return the file's tables `[name.…]` by their names."""
    if not isinstance(value, dict):
        raise SettingError(f"{name} has to be tables, one for each: [{name}.NAME]")
    for key, table in value.items():
        if not isinstance(table, dict):
            raise SettingError(f"{name}.{key} has to be a table: [{name}.{key}]")
    return value


def convert(name: str, value: Any, default: Any, metadata: Mapping[str, Any]) -> Any:
    """A setting's value as its default is: out of the environment it is text."""
    if metadata.get("check"):
        return metadata["check"](name, value)
    if isinstance(default, bool):
        return boolean(name, value)
    if isinstance(default, int | float):
        return number(name, value, type(default), metadata.get("at_least"), metadata.get("unit", ""))
    if isinstance(default, tuple):
        items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        return names(name, items)
    if isinstance(default, Secret):
        return secret(name, value)
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}; it has to be text")
    return value
