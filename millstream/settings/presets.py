"""The `[presets.NAME]` tables: prompts of the server's own, with a model and parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from millstream.settings.values import SettingError, boolean, meant, number, tables

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
NONE = "none"  # how a request says that it wants no preset
TEXTS = ("title", "system", "model")
MOST = {"temperature": 2, "top_p": 1}


@dataclass(frozen=True)
class PresetSettings:
    """One preset. A field that is None or "" is left to the request or the server."""

    name: str
    title: str = ""
    system: str = ""  # never leaves the server but for the upstream
    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    locked: bool = False  # a request may change nothing of it
    default: bool = False  # for requests that name none

    def __repr__(self) -> str:
        return f"PresetSettings({self.name!r})"  # the prompt has no place in a log


PRESET_OWN = {item.name for item in fields(PresetSettings)} - {"name"}


def read_presets(document: Any) -> tuple[PresetSettings, ...]:
    """Read the table of presets. Raises SettingError, which never shows a prompt."""
    found = tuple(_preset(name, table) for name, table in tables("presets", document).items())
    if len(defaults := [preset.name for preset in found if preset.default]) > 1:
        raise SettingError(f"presets.{' and presets.'.join(defaults)} are default; only one can be")
    return found


def _preset(name: str, table: dict[str, Any]) -> PresetSettings:
    where = f"presets.{name}"
    if not NAME.fullmatch(name) or name == NONE:
        raise SettingError(
            f"presets.{name!r:.50}: a preset's name has up to 40 letters, digits, _, . and -, and is not {NONE}"
        )
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in TEXTS:
            if not isinstance(value, str):
                raise SettingError(f"{where}.{key} has to be text")
            values[key] = value
        elif key in ("locked", "default"):
            values[key] = boolean(f"{where}.{key}", value)
        elif key in MOST:
            values[key] = number(f"{where}.{key}", value, float, 0, "")
            if values[key] > MOST[key]:
                raise SettingError(f"{where}.{key} is {value!r}; it has to be {MOST[key]} at most")
        elif key == "max_tokens":
            values[key] = number(f"{where}.{key}", value, int, 1, "")
        elif key == "stop":
            values[key] = _stop(f"{where}.{key}", value)
        else:
            raise SettingError(f"{where}.{key} is not a setting of a preset{meant(key, PRESET_OWN)}")
    return PresetSettings(name=name, **values)


def _stop(name: str, value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not 1 <= len(stops) <= 4 or not all(isinstance(s, str) and s for s in stops):
        raise SettingError(f"{name} has to be a text or a list of 1 to 4 texts")
    return tuple(stops)
