"""All settings: each with its default, its unit and one line. Read once, checked, passed in.

The environment comes first (`MILLSTREAM_GRACE`), then the file that `MILLSTREAM_CONFIG` names
(`grace` at its top; `millstream.toml` beside app.py by default), then the default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


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


@dataclass(frozen=True)
class UpstreamSettings:
    """One `[upstreams.NAME]` table. What belongs to one kind only (`pace`, `deployment` …) is in `extra`,
    and is checked by that kind's adapter."""

    name: str
    kind: str
    models: tuple[str, ...] = ()  # "*" takes every name that no other upstream has
    base_url: str = ""
    api_key: Secret = field(default_factory=Secret)
    fallback: tuple[str, ...] = ()  # names of other upstreams, tried in order while no token has come
    retries: int = 2  # more tries where it can't be paid twice
    connect: float = 5.0  # s
    first_token: float = 120.0  # s
    silence: float = 60.0  # s
    total: float = 900.0  # s
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # possibly a key under a wrong name


def _setting(default: Any, says: str, unit: str = "", at_least: float | None = None) -> Any:
    return field(default=default, metadata={"says": says, "unit": unit, "at_least": at_least})


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Times are in seconds unless the unit says otherwise."""

    store: str = _setting("file:instance/streams", "where streams are kept: `memory:`, `file:DIR`")
    ttl: float = _setting(600.0, "how long an ended stream can still be read", "s", 1)
    grace: float = _setting(15.0, "how long a stream goes on when nobody follows it any more", "s", 0)
    grace_new: float = _setting(60.0, "how long a stream waits for its first follower", "s", 0)
    heartbeat: float = _setting(15.0, "silence after which a heartbeat is sent", "s", 0.1)
    retry: int = _setting(2000, "what EventSource clients are told to wait before they reconnect, ±25 %", "ms", 0)
    status_wait: float = _setting(2.0, "how long a POST waits for the upstream's status before its own", "s", 0)
    poll_max: float = _setting(25.0, "the longest wait that a long poll may ask for", "s", 0)
    connect: float = _setting(5.0, "the limit for connecting to an upstream; also per upstream", "s", 0.01)
    first_token: float = _setting(120.0, "the limit for an upstream's first event; also per upstream", "s", 0.01)
    silence: float = _setting(60.0, "the limit between two events of an upstream; also per upstream", "s", 0.01)
    total: float = _setting(900.0, "the limit for a whole answer; also per upstream", "s", 0.01)
    slow_follower: float = _setting(60.0, "a client that takes no byte for so long is cut; it can resume", "s", 0.1)
    sndbuf: int = _setting(16384, "send buffer of a client's socket: what a slow client costs", "bytes", 2048)
    max_streams: int = _setting(5000, "running streams a worker takes before it answers 503", "", 1)
    max_body: int = _setting(1 << 20, "largest request body of /chat and /streams", "bytes", 1)
    max_body_v1: int = _setting(20 << 20, "largest request body of /v1, where images come within it", "bytes", 1)
    body_timeout: float = _setting(10.0, "the limit for receiving a request body, for each MiB of it", "s", 0.1)
    graceful_timeout: int = _setting(120, "how long a worker that is told to leave stays for its streams", "s", 1)
    drain_margin: int = _setting(5, "so long before that limit running streams are ended as interrupted", "s", 0)
    hosts: tuple[str, ...] = _setting(
        ("localhost", "127.0.0.1", "[::1]"), "the names (Host) it answers to, while it is not open"
    )
    open: bool = _setting(False, "serve everybody who can reach the server")
    trusted_proxies: int = _setting(0, "how many proxies in front are believed (X-Forwarded-…)", "", 0)
    model: str = _setting("", "the model that answers when a request names none; the first one configured by default")
    local_model: str = _setting("", "path of a GGUF file for the local model; the packaged SmolLM2 by default")
    upstreams: tuple[UpstreamSettings, ...] = ()


PREFIX = "MILLSTREAM_"
OURS = ("MILLSTREAM_CONFIG", "MILLSTREAM_LOCAL_")  # the file's name; what the master tells workers of the local model
UPSTREAM_COMMON = {item.name for item in fields(UpstreamSettings)} - {"name", "extra"}
# What the providers' own clients read from the environment: the kind of upstream that it stands for, and its setting.
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
SECRETS = {"api_key", "api_secret", "proxy"}  # a proxy's address may hold a password


def load(environ: Mapping[str, str] | None = None, path: Path | None = None) -> Settings:
    """Reads the environment and the file. Raises SettingError with a sentence for the operator."""
    environ = os.environ if environ is None else environ
    document = _document(environ, path)
    values: dict[str, Any] = {}
    for item in fields(Settings):
        if item.name == "upstreams":
            continue
        variable = PREFIX + item.name.upper()
        if variable in environ:
            values[item.name] = _convert(variable, environ[variable], item.default, item.metadata)
        elif item.name in document:
            values[item.name] = _convert(item.name, document[item.name], item.default, item.metadata)
    known = {item.name for item in fields(Settings)}
    if unknown := set(document) - known:
        raise SettingError(f"unknown settings in the configuration file: {', '.join(sorted(unknown))}")
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(OURS)}
    if unknown := ours - {PREFIX + name.upper() for name in known}:
        raise SettingError(f"unknown settings in the environment: {', '.join(sorted(unknown))}")
    defaults = Settings(**values)
    tables = document.get("upstreams", {})
    if not isinstance(tables, dict):
        raise SettingError("upstreams has to be tables, one for each: [upstreams.NAME]")
    upstreams = tuple(_upstream(name, table, defaults, environ) for name, table in tables.items())
    values["upstreams"] = upstreams or _conventional(environ, defaults)
    _check_fallbacks(values["upstreams"])
    return Settings(**values)


def _document(environ: Mapping[str, str], path: Path | None) -> dict[str, Any]:
    named = environ.get("MILLSTREAM_CONFIG")
    path = path or (Path(named) if named else ROOT / "millstream.toml")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named:
            raise SettingError(f"MILLSTREAM_CONFIG names {named}, and there is no such file") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}") from error


def _convert(name: str, value: Any, default: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(default, bool):
        return _boolean(name, value)
    if isinstance(default, int | float):
        return _number(name, value, type(default), metadata.get("at_least"), metadata.get("unit", ""))
    if isinstance(default, tuple):
        items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        return _names(name, items)
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}; it has to be text")
    return value


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("1", "true", "yes", "on"):
        return True
    if str(value).lower() in ("0", "false", "no", "off", ""):
        return False
    raise SettingError(f"{name} is {value!r}; it has to be 1 or 0")


def _number(name: str, value: Any, kind: type[int] | type[float], at_least: float | None, unit: str) -> Any:
    wanted = f"a {'whole ' if kind is int else ''}number{f' of {unit}' if unit else ''}"
    if at_least is not None:
        wanted += f", {at_least:g} or more"
    try:
        if isinstance(value, bool):
            raise ValueError
        number = kind(value)
        if kind is int and float(value) != number:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"{name} is {value!r}; it has to be {wanted}") from None
    if number != number or number == float("inf") or (at_least is not None and number < at_least):
        raise SettingError(f"{name} is {value!r}; it has to be {wanted}")
    return number


def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise SettingError(f"{name} is {value!r}; it has to be a list of names")
    return tuple(value)


def _upstream(name: str, table: Any, defaults: Settings, environ: Mapping[str, str]) -> UpstreamSettings:
    where = f"upstreams.{name}"
    if not isinstance(table, dict):
        raise SettingError(f"{where} has to be a table: [{where}]")
    kind = table.get("kind")
    if not isinstance(kind, str) or not kind:
        raise SettingError(f'{where} has no kind; write for example kind = "openai"')
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in table.items():
        value = _from_environment(f"{where}.{key}", value, environ)
        if key in ("connect", "first_token", "silence", "total"):
            values[key] = _number(f"{where}.{key}", value, float, 0.01, "s")
        elif key == "retries":
            values[key] = _number(f"{where}.{key}", value, int, 0, "")
        elif key in ("models", "fallback"):
            values[key] = _names(f"{where}.{key}", value)
        elif key == "base_url":
            values[key] = _base_url(f"{where}.{key}", value)
        elif key in SECRETS:
            if not isinstance(value, str):
                raise SettingError(f"{where}.{key} has to be text")
            (values if key == "api_key" else extra)[key] = Secret(value)
        elif key not in UPSTREAM_COMMON:
            extra[key] = value
    for key in ("connect", "first_token", "silence", "total"):
        values.setdefault(key, getattr(defaults, key))
    return UpstreamSettings(name=name, kind=kind, extra=extra, **values)


def _from_environment(name: str, value: Any, environ: Mapping[str, str]) -> Any:
    if not (isinstance(value, str) and value.startswith("env:")):
        return value
    variable = value[4:]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise SettingError(f"{name} begins with env: and has no variable's name behind it")  # but possibly a key
    if not environ.get(variable):
        raise SettingError(f"{name} is {value!r}, but the environment has no {variable}")
    return environ[variable]


def _base_url(name: str, value: Any) -> str:
    if isinstance(value, str) and re.match(r"(\w+:)?(//)?[^/?#]*@", value):
        raise SettingError(f"{name} carries a user name or password; put the key into api_key")
    if not isinstance(value, str) or not _is_address(value):
        raise SettingError(f"{name} is {value!r}; it has to be an address such as https://api.example.com/v1")
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bad port, half of an IPv6 address
        return False


def _conventional(environ: Mapping[str, str], defaults: Settings) -> tuple[UpstreamSettings, ...]:
    """The upstream that the variables of a provider's own clients stand for."""
    found = {name: CONVENTIONAL[name] for name in CONVENTIONAL if environ.get(name)}
    if not found:
        return ()
    has = f"the environment has {', '.join(found)}"
    kind, *others = dict.fromkeys(kind for kind, _ in found.values())
    if others:
        raise SettingError(f"{has}, and who is to answer can't be told: unset one's, or write millstream.toml")
    missing = [name for name, (of, _) in CONVENTIONAL.items() if of == kind and name not in found]
    if missing and kind != "openai":  # whose address is known, and whose likes need no key
        raise SettingError(f"{has}, but no {' and no '.join(missing)}")
    if not defaults.model:
        raise SettingError(f"{has}, but no model: set MILLSTREAM_MODEL to the one that answers")
    # Spark's models are a closed list.
    table: dict[str, Any] = {"kind": kind, "models": [defaults.model if kind == "spark" else "*"]}
    if kind == "openai":
        table["base_url"] = "https://api.openai.com/v1"
    if kind == "azure" and environ.get("OPENAI_API_VERSION"):
        table["api_version"] = environ["OPENAI_API_VERSION"]
    table |= {setting: environ[name] for name, (_, setting) in found.items()}
    return (_upstream(kind, table, defaults, {}),)


def _check_fallbacks(upstreams: tuple[UpstreamSettings, ...]) -> None:
    names = {upstream.name for upstream in upstreams}
    for upstream in upstreams:
        for name in upstream.fallback:
            if name not in names or name == upstream.name:
                raise SettingError(
                    f"upstreams.{upstream.name}.fallback names {name!r}; it has to be another upstream: "
                    + ", ".join(sorted(names - {upstream.name}) or ["(there is none)"])
                )
