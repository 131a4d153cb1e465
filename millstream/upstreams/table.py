"""The settings that belong to one kind of upstream, read out of its table. Each function raises SettingError."""

from __future__ import annotations

import re
from collections.abc import Iterable

from millstream.settings import SettingError, UpstreamSettings


def check(settings: UpstreamSettings, own: Iterable[str], example: str) -> None:
    """The base_url has to be for HTTP, and no setting may be there that isn't `own`."""
    where = f"upstreams.{settings.name}"
    if not settings.base_url.startswith(("http://", "https://")):
        raise SettingError(f"{where} needs a base_url, such as {example}")
    if unknown := sorted(set(settings.extra) - set(own)):
        raise SettingError(
            f"{where} has unknown settings: {', '.join(unknown)}; "
            f"of its own the kind {settings.kind} has {', '.join(sorted(own))}"
        )


def key(settings: UpstreamSettings) -> str:
    """The api_key, fit for a header; "" where there is none."""
    key = settings.api_key.reveal()
    if not re.fullmatch(r"[!-~]*", key):
        raise SettingError(f"upstreams.{settings.name}.api_key has spaces or characters in it that no key can have")
    return key


def flag(settings: UpstreamSettings, name: str, default: bool) -> bool:
    value = settings.extra.get(name, default)
    if not isinstance(value, bool):
        raise SettingError(f"upstreams.{settings.name}.{name} is {value!r}; it has to be true or false")
    return value


def text(settings: UpstreamSettings, name: str, default: str = "") -> str:
    value = settings.extra.get(name, default)
    if not isinstance(value, str):
        raise SettingError(f"upstreams.{settings.name}.{name} is {value!r}; it has to be text")
    return value or default


def count(settings: UpstreamSettings, name: str, default: int) -> int:
    value = settings.extra.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingError(f"upstreams.{settings.name}.{name} is {value!r}; it has to be a whole number, 1 or more")
    return value
