"""The `[upstreams.NAME]` tables, and what the providers' own clients read from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from millstream.settings.providers import PROVIDERS, stands_for
from millstream.settings.values import Secret, SettingError, from_environment, names, number, tables


@dataclass(frozen=True)
class UpstreamSettings:
    """One `[upstreams.NAME]` table. Settings of one kind only (`pace`, `deployment` …) are in `extra`; that kind's
    class checks them."""

    name: str
    kind: str
    models: tuple[str, ...] = ()  # "*" takes every name that no other upstream has; none: those of its own list
    base_url: str = ""
    api_key: Secret = field(default_factory=Secret)
    fallback: tuple[str, ...] = ()  # names of other upstreams, tried in order while no token has come
    retries: int = 2  # more tries where it can't be paid twice
    connect: float = 5.0  # s
    first_token: float = 120.0  # s
    silence: float = 60.0  # s
    total: float = 900.0  # s
    vision: bool | tuple[str, ...] | None = None  # whether its models take pictures, or which do
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # possibly a key under a wrong name

    def sees(self, model: str) -> bool | None:
        """Return what `vision` says about one of its models."""
        return model in self.vision if isinstance(self.vision, tuple) else self.vision


UPSTREAM_COMMON = {item.name for item in fields(UpstreamSettings)} - {"name", "extra"}
# Variables that the providers' own clients read → the kind of upstream, and its setting.
CONVENTIONAL = {
    "OPENAI_API_KEY": ("openai", "api_key"),
    "OPENAI_BASE_URL": ("openai", "base_url"),
    "AZURE_OPENAI_API_KEY": ("azure", "api_key"),
    "AZURE_OPENAI_ENDPOINT": ("azure", "base_url"),
    "ANTHROPIC_API_KEY": ("anthropic", "api_key"),
    "IFLYTEK_SPARK_APP_ID": ("spark", "app_id"),
    "IFLYTEK_SPARK_API_KEY": ("spark", "api_key"),
    "IFLYTEK_SPARK_API_SECRET": ("spark", "api_secret"),
}
LIMITS = ("connect", "first_token", "silence", "total")  # s; also settings of the whole server
SECRETS = {"api_key", "api_secret", "proxy"}  # a proxy's address may hold a password


def read_upstreams(
    document: Any, model: str, limits: Mapping[str, float], environ: Mapping[str, str]
) -> tuple[UpstreamSettings, ...]:
    """Return the file's upstreams. Without any, return the one that the environment names, with `model`. `limits` are
    the default time limits by name. Raises SettingError."""
    found = tuple(_upstream(name, table, limits, environ) for name, table in tables("upstreams", document).items())
    found = found or _conventional(environ, model, limits)
    _check_fallbacks(found)
    return found


def _upstream(
    name: str, table: dict[str, Any], limits: Mapping[str, float], environ: Mapping[str, str]
) -> UpstreamSettings:
    where = f"upstreams.{name}"
    table = _with_provider(where, table, environ)
    kind = table.get("kind")
    if not isinstance(kind, str) or not kind:
        raise SettingError(f'{where} has no kind; write for example kind = "openai", or provider = "deepseek"')
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in table.items():
        value = from_environment(f"{where}.{key}", value, environ)
        if key in LIMITS:
            values[key] = number(f"{where}.{key}", value, float, 0.01, "s")
        elif key == "retries":
            values[key] = number(f"{where}.{key}", value, int, 0, "")
        elif key in ("models", "fallback"):
            values[key] = names(f"{where}.{key}", value)
        elif key == "vision":
            values[key] = value if isinstance(value, bool) else names(f"{where}.{key}", value)
        elif key == "base_url":
            values[key] = _base_url(f"{where}.{key}", value)
        elif key in SECRETS:
            if not isinstance(value, str):
                raise SettingError(f"{where}.{key} has to be text")
            (values if key == "api_key" else extra)[key] = Secret(value)
        elif key not in UPSTREAM_COMMON:
            extra[key] = value
    return UpstreamSettings(name=name, kind=kind, extra=extra, **{**limits, **values})


def _with_provider(where: str, table: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Fill in the provider's values; the table's own values win."""
    provider = table.get("provider")
    if provider is None:
        return table
    if not isinstance(provider, str) or provider not in PROVIDERS:
        raise SettingError(f"{where}.provider is {provider!r}; it has to be one of {', '.join(PROVIDERS)}")
    known = stands_for(provider, environ)
    own = {key: value for key, value in table.items() if key != "provider"}
    if own.get("kind", known["kind"]) != known["kind"]:  # the quirks are settings of its kind
        known = {key: known[key] for key in ("base_url", "api_key") if key in known}
    return {**known, **own}


def _base_url(name: str, value: Any) -> str:
    if isinstance(value, str) and re.match(r"(\w+:)?(//)?[^/?#]*@", value):
        raise SettingError(f"{name} carries a user name or password; put the key into api_key")
    if isinstance(value, str) and (path := re.search(r"/(chat/)?completions/?$|/messages/?$|/responses/?$", value)):
        raise SettingError(f"{name} is {value!r}; leave out {path[0].rstrip('/')}, which is added")
    if not isinstance(value, str) or not _is_address(value):
        raise SettingError(f"{name} is {value!r}; it has to be an address such as https://api.example.com/v1")
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bad port, half of an IPv6 address
        return False


def _conventional(
    environ: Mapping[str, str], model: str, limits: Mapping[str, float]
) -> tuple[UpstreamSettings, ...]:
    """The upstream that the variables of a provider's own clients stand for. It is asked for its models."""
    found = {name: CONVENTIONAL[name] for name in CONVENTIONAL if environ.get(name)}
    if not found:
        return _by_key(environ, limits)
    has = f"the environment has {', '.join(found)}"
    kind, *others = dict.fromkeys(kind for kind, _ in found.values())
    if others:
        raise SettingError(
            f"{has}, so it is unclear which one should answer: unset the others, or write millstream.toml"
        )
    missing = [name for name, (of, _) in CONVENTIONAL.items() if of == kind and name not in found]
    if missing and kind != "openai":  # whose address is known, and whose likes need no key
        raise SettingError(f"{has}, but no {' and no '.join(missing)}")
    if not model and kind == "azure":  # whose deployments have names that only its owner knows
        raise SettingError(f"{has}, but no model: set MILLSTREAM_MODEL to the one that answers")
    table: dict[str, Any] = {"kind": kind}
    if model:  # Spark's models are a closed list
        table["models"] = [model if kind == "spark" else "*"]
    if kind == "openai":
        table["base_url"] = "https://api.openai.com/v1"
    if kind == "azure" and environ.get("OPENAI_API_VERSION"):
        table["api_version"] = environ["OPENAI_API_VERSION"]
    table |= {setting: environ[name] for name, (_, setting) in found.items()}
    return (_upstream(kind, table, limits, {}),)


def _by_key(environ: Mapping[str, str], limits: Mapping[str, float]) -> tuple[UpstreamSettings, ...]:
    """The provider whose key is in the environment; nobody where there are several, or none."""
    known = [(provider.key, name) for name, provider in PROVIDERS.items() if provider.base_url.startswith("https:")]
    found = {key: name for key, name in reversed(known) if environ.get(key)}
    if len(found) != 1:
        return ()
    (name,) = found.values()
    return (_upstream(name, {"provider": name}, limits, environ),)


def _check_fallbacks(upstreams: tuple[UpstreamSettings, ...]) -> None:
    known = {upstream.name for upstream in upstreams}
    for upstream in upstreams:
        for name in upstream.fallback:
            if name not in known or name == upstream.name:
                raise SettingError(
                    f"upstreams.{upstream.name}.fallback names {name!r}; it has to be another upstream: "
                    + ", ".join(sorted(known - {upstream.name}) or ["(there is none)"])
                )
