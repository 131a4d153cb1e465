"""All settings: each with its default, its unit and one line. Read once, checked, passed in.

The environment comes first (`MILLSTREAM_GRACE`), then the file that `MILLSTREAM_CONFIG` names
(`grace` at its top; `millstream.toml` beside app.py by default), then the default.
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
    """Everything that can be set. Times are in seconds unless the unit says otherwise."""

    state: str = _setting(
        "",
        "the folder for everything that is written: `instance` in a checkout, `$STATE_DIRECTORY` under systemd, "
        "otherwise `~/.local/state/millstream`",
    )
    store: str = _setting(
        "file:{state}/streams",
        "where streams are kept: `memory:`, `file:DIR`, `redis://…`; `REDIS_URL` if that is set",
        secret=True,
    )
    ttl: float = _setting(600.0, "how long an ended stream can still be read", "s", 1)
    grace: float = _setting(15.0, "how long a stream goes on when nobody follows it any more", "s", 0)
    grace_new: float = _setting(60.0, "how long a stream waits for its first follower", "s", 0)
    keep: bool = _setting(True, "whether `keep` lets an answer go on to its end though nobody follows; also per key")
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
    max_answer: int = _setting(64 << 20, "largest answer; a longer one is ended as failed", "bytes", 1)
    store_size: int = _setting(
        4 << 30,
        "what all logs may take together: then those that ended first go, then 503; 0: what the disk has",
        "bytes",
        0,
    )
    max_body: int = _setting(1 << 20, "largest form or text sent to /chat and /streams", "bytes", 1)
    max_body_v1: int = _setting(20 << 20, "largest request body in JSON, where images come within it", "bytes", 1)
    body_timeout: float = _setting(10.0, "the limit for receiving a request body, for each MiB of it", "s", 0.1)
    graceful_timeout: int = _setting(120, "how long a worker that is told to leave stays for its streams", "s", 1)
    drain_margin: int = _setting(5, "so long before that limit running streams are ended as interrupted", "s", 0)
    hosts: tuple[str, ...] = _setting(
        ("localhost", "127.0.0.1", "[::1]"), "the names (Host) it answers to, while it is not open"
    )
    open: bool = _setting(False, "serve everybody who can reach the server, while there are no access keys")
    trusted_proxies: int = _setting(0, "how many proxies in front are believed (X-Forwarded-…)", "", 0)
    cors: tuple[str, ...] = _setting((), "sites whose pages may ask: `https://app.example`; none by default")
    session_secret: Secret = _setting(  # noqa: RUF009 — a Secret doesn't change
        Secret("file:{state}/session-secret"),
        "what log-ins are signed with: `file:FILE`, which is made; for several machines a text of your own",
    )
    session: float = _setting(604800.0, "how long a log-in lasts", "s", 60)
    login_attempts: int = _setting(10, "log-ins a minute that one address may try", "", 1)
    model: str = _setting("", "the model that answers when a request names none; the first one configured by default")
    local_model: str = _setting("", "path of a GGUF file for the local model; the packaged SmolLM2 by default")
    limits_store: str = _setting(
        "sqlite:{state}/limits.db",
        "where limits are counted: `sqlite:FILE`, `redis://…`; `REDIS_URL` if that is set",
        secret=True,
    )
    requests_per_minute: int = _setting(
        0, "answers that a key may begin in a minute; also per key; 0: any number", "", 0
    )
    requests_per_minute_address: int = _setting(0, "the same for each client's address", "", 0)
    streams: int = _setting(0, "answers of a key that may run at the same time; also per key; 0: any number", "", 0)
    streams_total: int = _setting(0, "the same for all keys together, over all workers: then 503", "", 0)
    tokens_per_day: int = _setting(0, "tokens that a key may use up in a day; also per key; 0: any number", "", 0)
    budget: str = _setting(
        "",
        "what a key may cost in a day, week or month, in `currency`: `10/month`; also per key",
        check=as_budget,
    )
    budget_total: str = _setting("", "the same for all keys together", check=as_budget)
    max_prompt: int = _setting(
        0, "longest question with its conversation; also per key; 0: `max_body`", "characters", 0
    )
    max_tokens: int = _setting(0, "longest answer; also per key; 0: as long as the model likes", "tokens", 0)
    database: str = _setting(
        "sqlite:///{state}/usage.db", "where the ledger is kept; also `DATABASE_URL`", check=unshown, secret=True
    )
    currency: str = _setting("USD", "what the prices are in", check=currency)
    log: str = _setting("json", "a line for each request: `json`, or `text` for people", check=one_of("json", "text"))
    log_level: str = _setting(
        "info",
        "the least that is logged: `debug` (files, too), `info` (a line for each request), `warning`, `error`",
        check=one_of(*LEVELS),
    )
    # Tables of the file: what has a name of its own.
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
    text = _text(environ, path)
    try:
        return _read(text, environ, path.parent)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}") from error
    except SettingError as error:
        raise located(error, path, text) from error


def located(error: SettingError, path: Path, text: str = "") -> SettingError:
    """The same with the line of the file that it is about, if it is about one."""
    if not text:
        with suppress(OSError, UnicodeDecodeError):
            text = path.read_text("utf-8-sig")
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
        raise SettingError(f"{first} is no setting{meant(first, known)}")
    for kind in BELONGS:  # what an upstream may have, its kind knows
        for name, table in document.get(kind, {}).items() if isinstance(document.get(kind), dict) else ():
            if isinstance(table, dict) and (lost := set(table) & known - BELONGS[kind]):
                key = min(lost)
                says = (
                    meant(key, BELONGS[kind] - {key}) or "; write it at the top of the file, above the first [table]"
                )
                raise SettingError(f"{kind}.{name}.{key} is a setting of the whole server{says}")
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(OURS)}
    if unknown := ours - {PREFIX + name.upper() for name in known.difference(TABLES)}:
        first = min(unknown)
        raise SettingError(
            f"{first} in the environment is no setting{meant(first, {PREFIX + n.upper() for n in known})}"
        )


def of_the_server(key: str, known: Iterable[str]) -> str:
    """The end of a sentence about a table's setting that belongs above all tables, if it isn't a slip for another."""
    says = meant(key, known) or "; write it at the top of the file, above the first [table]"
    return f"is a setting of the whole server{says}"


def _text(environ: Mapping[str, str], path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")  # Notepad on Windows writes a byte order mark
    except FileNotFoundError:
        if environ.get("MILLSTREAM_CONFIG"):
            raise SettingError(f"MILLSTREAM_CONFIG names {path}, and there is no such file") from None
        return ""
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not valid TOML: {error}; save it as UTF-8") from error
    except OSError as error:
        raise SettingError(f"{path} can't be read: {error.strerror}; let the server's user read it") from error
