"""All settings, each with its default, its unit and one line of explanation. They are read once, checked and passed
in.

A variable such as `MILLSTREAM_GRACE` has priority over the settings file, and the file over the default. By default
the file is `millstream.toml` beside app.py; `MILLSTREAM_CONFIG` names another.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from millstream.settings.budgets import as_budget
from millstream.settings.keys import KEY_OWN, KeySettings, read_keys
from millstream.settings.lines import line_of
from millstream.settings.page import PageSettings, read_page
from millstream.settings.places import BASE, INSTALLED, ROOT, SITE, config_path, make_folder, state_folder
from millstream.settings.presets import NONE, PRESET_OWN, PresetSettings, read_presets
from millstream.settings.prices import Price, currency, read_prices
from millstream.settings.upstreams import LIMITS, SECRETS, UpstreamSettings, read_upstreams
from millstream.settings.values import (
    Secret,
    SettingError,
    convert,
    from_environment,
    meant,
    one_of,
    origins,
    unshown,
)

__all__ = [
    "BASE",
    "INSTALLED",
    "LEVELS",
    "NONE",
    "ROOT",
    "SECRETS",
    "SITE",
    "TABLES",
    "KeySettings",
    "PresetSettings",
    "Price",
    "Secret",
    "SettingError",
    "Settings",
    "UpstreamSettings",
    "config_path",
    "load",
    "located",
    "make_folder",
    "make_state",
    "of_the_server",
    "read_text",
]


LEVELS = ("debug", "info", "warning", "error")


def _setting(
    default: Any,
    says: str,
    unit: str = "",
    at_least: float | None = None,
    *,
    check: Callable[[str, Any], Any] | None = None,
    secret: bool = False,
) -> Any:
    facts = {"says": says, "unit": unit, "at_least": at_least, "check": check}
    return field(default=default, metadata=facts, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """All settings. Times are in seconds unless the unit says otherwise."""

    state: str = _setting(
        "",
        "the folder for everything that is written: `instance` in a checkout, `$STATE_DIRECTORY` under systemd, "
        "otherwise `~/.local/state/millstream`",
    )
    store: str = _setting(
        "file:{state}/streams",
        "where answers are kept: `memory:`, `file:DIR`, `redis://…`; `REDIS_URL` if that is set",
        secret=True,
    )
    ttl: float = _setting(600.0, "how long an answer can be read after its end", "s", 1)
    grace: float = _setting(15.0, "how long an answer continues after its last client has left", "s", 0)
    grace_new: float = _setting(60.0, "how long an answer waits for its first client", "s", 0)
    keep: bool = _setting(
        True, "allow requests to set `keep`: the answer then continues to its end without a client; also per key"
    )
    heartbeat: float = _setting(15.0, "send a heartbeat after this much silence", "s", 0.1)
    retry: int = _setting(2000, "how long EventSource clients wait before they reconnect, ±25 %", "ms", 0)
    status_wait: float = _setting(
        2.0, "how long a POST waits for the upstream's status before it sends its own", "s", 0
    )
    poll_max: float = _setting(25.0, "longest `wait` of a long poll", "s", 0)
    connect: float = _setting(5.0, "timeout for connecting to an upstream; also per upstream", "s", 0.01)
    first_token: float = _setting(120.0, "timeout for an upstream's first event; also per upstream", "s", 0.01)
    silence: float = _setting(60.0, "timeout between two events of an upstream; also per upstream", "s", 0.01)
    total: float = _setting(900.0, "timeout for a whole answer; also per upstream", "s", 0.01)
    slow_follower: float = _setting(
        60.0, "disconnect a client that accepts no byte for this long; it can resume", "s", 0.1
    )
    sndbuf: int = _setting(
        16384, "send buffer of a client's socket, which is what a slow client costs", "bytes", 2048
    )
    max_streams: int = _setting(5000, "running answers of one worker; more get 503", "", 1)
    max_answer: int = _setting(64 << 20, "largest answer; a larger one ends with an error", "bytes", 1)
    store_size: int = _setting(
        4 << 30,
        "disk space for all answers; beyond it the oldest ended ones are erased, then new ones get 503; 0: unlimited",
        "bytes",
        0,
    )
    max_body: int = _setting(1 << 20, "largest form or text sent to /chat and /streams", "bytes", 1)
    max_body_v1: int = _setting(20 << 20, "largest request body in JSON, which may contain pictures", "bytes", 1)
    body_timeout: float = _setting(10.0, "timeout for receiving a request body, for each MiB", "s", 0.1)
    graceful_timeout: int = _setting(
        120, "how long a worker that was told to stop waits for its running answers", "s", 1
    )
    drain_margin: int = _setting(
        5, "how long before `graceful_timeout` running answers are ended as `interrupted`", "s", 0
    )
    hosts: tuple[str, ...] = _setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "host names that are answered while there are no access keys and `open` is off",
    )
    open: bool = _setting(False, "without access keys, serve everybody who can reach the server")
    trusted_proxies: int = _setting(0, "how many proxies in front to trust (X-Forwarded-…)", "", 0)
    cors: tuple[str, ...] = _setting(
        (), "other sites whose pages may ask, such as `https://app.example`; none by default"
    )
    session_secret: Secret = _setting(  # noqa: RUF009 — a Secret doesn't change
        Secret("file:{state}/session-secret"),
        "secret that signs log-ins: `file:FILE`, which is created; on several machines the same text on each",
    )
    session: float = _setting(604800.0, "how long a log-in lasts", "s", 60)
    login_attempts: int = _setting(10, "log-in attempts per minute of one address", "", 1)
    model: str = _setting("", "default model of requests that name none; by default the first one configured")
    local_model: str = _setting("", "path of a GGUF file for the local model; by default the packaged SmolLM2")
    limits_store: str = _setting(
        "sqlite:{state}/limits.db",
        "where limits are counted: `sqlite:FILE`, `redis://…`; `REDIS_URL` if that is set",
        secret=True,
    )
    requests_per_minute: int = _setting(0, "answers per minute of each key; also per key; 0: unlimited", "", 0)
    requests_per_minute_address: int = _setting(0, "answers per minute of each client address; 0: unlimited", "", 0)
    streams: int = _setting(0, "answers of each key that run at the same time; also per key; 0: unlimited", "", 0)
    streams_total: int = _setting(
        0, "answers of all keys that run at the same time; more get 503; 0: unlimited", "", 0
    )
    tokens_per_day: int = _setting(0, "tokens per day of each key; also per key; 0: unlimited", "", 0)
    budget: str = _setting(
        "",
        "cost of each key in a day, week or month, in `currency`: `10/month`; also per key",
        check=as_budget,
    )
    budget_total: str = _setting("", "cost of all keys together in a day, week or month", check=as_budget)
    max_prompt: int = _setting(
        0, "longest question with its conversation; also per key; 0: limited by `max_body`", "characters", 0
    )
    max_tokens: int = _setting(0, "longest answer; also per key; 0: unlimited", "tokens", 0)
    database: str = _setting(
        "sqlite:///{state}/usage.db", "where the ledger is kept; also `DATABASE_URL`", check=unshown, secret=True
    )
    currency: str = _setting("USD", "currency of the prices", check=currency)
    log: str = _setting("json", "format of the log: `json`, or `text` for people", check=one_of("json", "text"))
    log_level: str = _setting(
        "info",
        "lowest level that is logged: `debug` (files of the page, too), `info` (each request), `warning`, `error`",
        check=one_of(*LEVELS),
    )
    # Tables of the settings file, one for each name.
    upstreams: tuple[UpstreamSettings, ...] = ()
    keys: tuple[KeySettings, ...] = ()
    presets: tuple[PresetSettings, ...] = ()
    prices: tuple[Price, ...] = ()
    page: PageSettings = field(default_factory=PageSettings)

    def __post_init__(self) -> None:
        state = str(BASE / (self.state or state_folder(os.environ)))
        object.__setattr__(self, "state", state)
        for name in ("store", "limits_store", "database"):
            object.__setattr__(self, name, getattr(self, name).replace("{state}", state))
        secret = Secret(self.session_secret.reveal().replace("{state}", state))
        object.__setattr__(self, "session_secret", secret)


PREFIX = "MILLSTREAM_"
OURS = ("MILLSTREAM_CONFIG", "MILLSTREAM_LOCAL_")  # the file's name; what the master tells workers of the local model
TABLES = ("upstreams", "keys", "presets", "prices", "page")
BELONGS = {"keys": KEY_OWN, "presets": PRESET_OWN, "prices": {"input", "output"}}
CONVENTIONAL = {"DATABASE_URL": "database"}  # what other programs read, too; our own names come before


def load(environ: Mapping[str, str] | None = None, path: Path | None = None) -> Settings:
    """Read the environment and the file. Raises SettingError with a sentence for the operator."""
    environ = os.environ if environ is None else environ
    path = path or config_path(environ)
    text = read_text(path)
    if text is None and environ.get("MILLSTREAM_CONFIG"):
        raise SettingError(f"MILLSTREAM_CONFIG names {path}, and there is no such file")
    text = text or ""
    try:
        return _read(text, environ, path.parent)
    except tomllib.TOMLDecodeError as error:
        quotes = '; texts are written in quotes: model = "gpt-4o"' if str(error).startswith("Invalid value") else ""
        raise SettingError(f"{path} is not valid TOML: {error}{quotes}") from error
    except SettingError as error:
        raise located(error, path, text) from error


def located(error: SettingError, path: Path, text: str = "") -> SettingError:
    """The same with the line of the file that it is about, if it is about one."""
    if not text:
        with suppress(SettingError):
            text = read_text(path) or ""
    line = None if str(path) in str(error) else line_of(text, str(error))
    return SettingError(f"{error} ({path}, line {line})") if line else error


def _read(text: str, environ: Mapping[str, str], folder: Path) -> Settings:
    document = tomllib.loads(text)
    values: dict[str, Any] = {}
    for item in fields(Settings):
        if item.name in TABLES:
            continue
        variable = PREFIX + item.name.upper()
        usual = next((name for name, means in CONVENTIONAL.items() if means == item.name and environ.get(name)), "")
        variable = variable if variable in environ else usual
        if variable:
            values[item.name] = convert(variable, environ[variable], item.default, item.metadata)
        elif item.name in document:
            value = document[item.name]
            if isinstance(item.default, Secret):
                value = from_environment(item.name, value, environ)
            values[item.name] = convert(item.name, value, item.default, item.metadata)
    if environ.get("REDIS_URL"):
        for name in ("store", "limits_store"):
            values.setdefault(name, environ["REDIS_URL"])
    _check_names(document, environ)
    values["cors"] = origins("cors", values.get("cors", ()))
    defaults = Settings(**values)
    limits = {name: getattr(defaults, name) for name in LIMITS}
    values["upstreams"] = read_upstreams(document.get("upstreams", {}), defaults.model, limits, environ)
    values["keys"] = read_keys(document.get("keys", {}))
    values["presets"] = read_presets(document.get("presets", {}))
    values["prices"] = read_prices(document.get("prices", {}))
    values["page"] = read_page(document.get("page", {}), folder)
    return Settings(**values)


def make_state(settings: Settings) -> None:
    """Make the state folder, if anything is kept in it. Raises SettingError where it can't be written."""
    if any(settings.state in place for place in (settings.store, settings.database)):
        make_folder(settings.state)


def _check_names(document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    known = {item.name for item in fields(Settings)}
    if unknown := set(document) - known:
        first = min(unknown)
        raise SettingError(f"{first} is not a setting{meant(first, known)}")
    for kind in BELONGS:  # what an upstream may have, its kind knows
        for name, table in document.get(kind, {}).items() if isinstance(document.get(kind), dict) else ():
            if isinstance(table, dict) and (lost := set(table) & known - BELONGS[kind]):
                raise SettingError(f"{kind}.{name}.{min(lost)} {of_the_server(min(lost), BELONGS[kind])}")
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(OURS)}
    if unknown := ours - {PREFIX + name.upper() for name in known.difference(TABLES)}:
        first = min(unknown)
        raise SettingError(
            f"{first} in the environment is not a setting{meant(first, {PREFIX + n.upper() for n in known})}"
        )


def of_the_server(key: str, known: Iterable[str]) -> str:
    """The end of a sentence about a table's setting that belongs above all tables, if it isn't a slip for another."""
    says = meant(key, known) or "; write it at the top of the file, above the first [table]"
    return f"is a setting of the whole server{says}"


def read_text(path: Path) -> str | None:
    """The file's text, its line ends as they are; None where there is no file. Raises SettingError."""
    try:
        return path.read_bytes().decode("utf-8-sig")  # Notepad on Windows writes a byte order mark
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}; save it as UTF-8") from error
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}; let the server's user read it") from error
