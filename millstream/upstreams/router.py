"""Which upstream answers to a model's name, by the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from millstream.errors import MillstreamError
from millstream.settings import SettingError, Settings, UpstreamSettings
from millstream.upstreams import Upstream, local
from millstream.upstreams.anthropic import Anthropic
from millstream.upstreams.azure import Azure
from millstream.upstreams.demo import Demo
from millstream.upstreams.fallback import Chain, Failed, Member
from millstream.upstreams.legacy import Legacy
from millstream.upstreams.local import Local
from millstream.upstreams.openai import OpenAI
from millstream.upstreams.spark import Spark

SHOWN = 10  # models named in an error


class Routed(Upstream, Protocol):
    """An upstream that says which models it answers to where its settings name none."""

    models: tuple[str, ...]


Build = Callable[[UpstreamSettings, Settings], Routed]

KINDS: dict[str, Build] = {
    "anthropic": lambda table, settings: Anthropic(table),
    "azure": lambda table, settings: Azure(table),
    "completions": lambda table, settings: Legacy(table),
    "demo": lambda table, settings: Demo(table),
    "local": Local,
    "openai": lambda table, settings: OpenAI(table),
    "spark": lambda table, settings: Spark(table),
}


def build(table: UpstreamSettings, settings: Settings) -> Routed:
    """Raises SettingError."""
    if table.kind not in KINDS:
        raise SettingError(f"upstreams.{table.name}.kind is {table.kind!r}; it has to be one of {', '.join(KINDS)}")
    return KINDS[table.kind](table, settings)


def tables(settings: Settings) -> tuple[UpstreamSettings, ...]:
    """The configured upstreams; with none, the local model, and where that can't be had, the demo."""
    if settings.upstreams:
        return settings.upstreams
    kind = "local" if local.available(settings) else "demo"
    limits = {name: getattr(settings, name) for name in ("connect", "first_token", "silence", "total")}
    return (UpstreamSettings(kind, kind, **limits),)


def prepare(settings: Settings) -> None:
    """Starts what the upstreams need on this machine. To be called before the workers are forked, and in the
    process itself where nothing forks; more calls do nothing."""
    if any(table.kind == "local" for table in tables(settings)):
        local.ensure_server(settings)


def check_prepared(settings: Settings) -> None:
    """Raises SettingError where `prepare` would have to start something first."""
    if any(table.kind == "local" for table in tables(settings)) and not local.has_server():
        raise SettingError("the local model is started with the server: restart it")


class Router:
    """Raises SettingError for upstreams that are configured wrong. `failed` hears of every error of one, also of
    those that a retry or a fallback hides from the client. Upstreams that are as they were come from `before`, with
    their connections."""

    def __init__(
        self,
        settings: Settings,
        build: Build = build,
        failed: Failed = lambda name, code: None,
        before: Router | None = None,
    ) -> None:
        self._failed = failed
        self._upstreams: dict[str, Routed] = {}  # by model
        self._named: dict[str, Routed] = {}
        self._tables = {table.name: table for table in tables(settings)}
        for table in self._tables.values():
            kept = before._named[table.name] if before and before._tables.get(table.name) == table else None
            upstream = self._named[table.name] = kept or build(table, settings)
            for model in upstream.models:
                if model in self._upstreams:
                    raise SettingError(
                        f"upstreams.{table.name}.models has {model!r}, which upstreams.{self._upstreams[model].name} "
                        "has already; a model belongs to one upstream"
                    )
                self._upstreams[model] = upstream
            if not upstream.models:
                raise SettingError(f'upstreams.{table.name} has no models; name them, or write models = ["*"]')
        self.default = settings.model or next(iter(self.models()), "")
        if not self.default:
            raise SettingError("no model is named in the settings; set MILLSTREAM_MODEL to the one that answers")
        self._check("model is", self.default)
        for preset in settings.presets:
            self._check(f"presets.{preset.name}.model is", preset.model or self.default)
        for key in settings.keys:
            for model in key.models:
                self._check(f"keys.{key.name}.models has", model)

    def _check(self, says: str, model: str) -> None:
        try:
            self.find(model)
        except MillstreamError as error:
            raise SettingError(f"{says} {model!r}, which no upstream has: {error.message}") from error

    def find(self, model: str) -> Upstream:
        """By the whole name, then by the demo's name with parameters behind it, then whoever takes any name.

        Raises MillstreamError (model_not_found).
        """
        exact = self._upstreams.get(model)
        demo = self._upstreams.get(model.partition("?")[0])
        found = exact or (demo if isinstance(demo, Demo) else None) or self._upstreams.get("*")
        if found is None:
            names = self.models()
            listed = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
            raise MillstreamError(
                "model_not_found", f"There is no model {model[:100]!r} here; there is {listed}.", param="model"
            )
        table = self._tables[found.name]
        others = [self._member(name) for name in table.fallback]
        return Chain([Member(found, table.retries), *others], self._failed)

    def _member(self, name: str) -> Member:
        """A fallback: it is asked for its own first model, the one asked for where it takes any."""
        upstream = self._named[name]
        model = next((model for model in upstream.models if model != "*"), "")
        return Member(upstream, self._tables[name].retries, model)

    def models(self) -> list[str]:
        """The names that can be asked for; an upstream for any name shows none."""
        return [model for model in self._upstreams if model != "*"]
