"""Read the settings of one kind of upstream from its table. Each function raises SettingError."""

from __future__ import annotations

import re
from collections.abc import Iterable

from millstream.settings import SettingError, Settings, UpstreamSettings, of_the_server
from millstream.settings.upstreams import UPSTREAM_COMMON
from millstream.settings.values import meant


def check(settings: UpstreamSettings, own: Iterable[str], example: str) -> None:
    """Check that the base_url is for HTTP and that no setting is unknown."""
    where = f"upstreams.{settings.name}"
    if not settings.base_url.startswith(("http://", "https://")):
        raise SettingError(f"{where} needs a base_url, such as {example}")
    check_names(settings, own)


def check_names(settings: UpstreamSettings, own: Iterable[str]) -> None:
    """Check that every setting belongs to all upstreams or to this kind."""
    if unknown := sorted(set(settings.extra) - set(own)):
        where, known = f"upstreams.{settings.name}.{unknown[0]}", {*own, *UPSTREAM_COMMON}
        if unknown[0] in Settings.__dataclass_fields__:
            raise SettingError(f"{where} {of_the_server(unknown[0], known)}")
        near = meant(unknown[0], known) or f"; of its own it has {', '.join(sorted(own))}"
        raise SettingError(f"{where} is not a setting of the kind {settings.kind}{near}")


def key(settings: UpstreamSettings) -> str:
    """Return the api_key in a form that fits a header; "" if there is none."""
    key = settings.api_key.reveal()
    if not re.fullmatch(r"[!-~]*", key):
        bearer = "; leave out the word Bearer" if key.lower().startswith("bearer ") else ""
        raise SettingError(
            f"upstreams.{settings.name}.api_key has spaces or characters in it that no key can have{bearer}"
        )
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
