"""Find the upstream for a model's name, according to the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from millstream.dialects.models import Model
from millstream.errors import MillstreamError
from millstream.settings import SettingError, Settings, UpstreamSettings
from millstream.settings.providers import PROVIDERS
from millstream.upstreams import Configured, Upstream, local
from millstream.upstreams.anthropic import Anthropic
from millstream.upstreams.azure import Azure
from millstream.upstreams.catalogue import Catalogue
from millstream.upstreams.demo import Demo
from millstream.upstreams.fallback import Chain, Failed, Member
from millstream.upstreams.legacy import Legacy
from millstream.upstreams.local import Local
from millstream.upstreams.ollama import Ollama
from millstream.upstreams.openai import OpenAI
from millstream.upstreams.responses import Responses

log = logging.getLogger("millstream")

SHOWN = 10  # models named in an error


def _spark(table: UpstreamSettings) -> Configured:
    # Not at the top: what a WebSocket needs is a twentieth of each start.
    from millstream.upstreams.spark import Spark

    return Spark(table)


KINDS: dict[str, Callable[..., Configured]] = {
    "anthropic": Anthropic,
    "azure": Azure,
    "completions": Legacy,
    "demo": Demo,
    "local": Local,
    "ollama": Ollama,
    "openai": OpenAI,
    "responses": Responses,
    "spark": _spark,
}


def build(table: UpstreamSettings, settings: Settings) -> Configured:
    """Build an upstream from its table of settings. Raises SettingError."""
    if table.kind not in KINDS and table.kind in PROVIDERS:
        instead = f'which is a provider; write provider = "{table.kind}" instead of it'
        raise SettingError(f"upstreams.{table.name}.kind is {table.kind!r}, {instead}")
    if table.kind not in KINDS:
        raise SettingError(f"upstreams.{table.name}.kind is {table.kind!r}; it has to be one of {', '.join(KINDS)}")
    kind = KINDS[table.kind]
    return kind(table, settings) if table.kind == "local" else kind(table)


def tables(settings: Settings) -> tuple[UpstreamSettings, ...]:
    """Return the configured upstreams. Without any, return the local model, or the demo if that can't run here."""
    if settings.upstreams:
        return settings.upstreams
    kind = "local" if local.available(settings) else "demo"
    limits = {name: getattr(settings, name) for name in ("connect", "first_token", "silence", "total")}
    return (UpstreamSettings(kind, kind, **limits),)


def prepare(settings: Settings) -> None:
    """Start the processes that upstreams need on this machine. Call it before the workers are forked, or in the
    process itself if nothing forks. Further calls do nothing."""
    if any(table.kind == "local" for table in tables(settings)):
        local.ensure_server(settings)


def check_prepared(settings: Settings) -> None:
    """Raise SettingError if `prepare` would have to start something first."""
    if any(table.kind == "local" for table in tables(settings)) and not local.has_server():
        raise SettingError("the local model is started with the server: restart it")


class Router:
    """All upstreams, by model. Raises SettingError for wrong settings.

    `failed` is told of every upstream's error, even if a retry or a fallback hides it from the client. Upstreams with
    unchanged settings are taken from `before`, with their connections.

    An upstream without `models`, or with "*", is asked for its list when the list is first needed.
    """

    def __init__(
        self, settings: Settings, failed: Failed = lambda name, code: None, before: Router | None = None
    ) -> None:
        self._failed = failed
        self._upstreams: dict[str, Configured] = {}  # by model
        self._named: dict[str, Configured] = {}
        self._catalogues: dict[str, Catalogue] = {}  # by upstream
        self._tables = {table.name: table for table in tables(settings)}
        for table in self._tables.values():
            kept = before if before and before._tables.get(table.name) == table else None
            self._add(table, kept._named[table.name] if kept else build(table, settings))
            if kept and table.name in kept._catalogues:
                self._catalogues[table.name] = kept._catalogues[table.name]
        self._default = settings.model or next(iter(self._explicit()), "")
        if not (self._default or self._catalogues):
            raise SettingError("no model is named in the settings; set MILLSTREAM_MODEL to the one that answers")
        if self._catalogues:
            return  # the models are not known yet
        self._check("model is", self.default)
        for preset in settings.presets:
            self._check(f"presets.{preset.name}.model is", preset.model or self.default)
        for key in settings.keys:
            for model in key.models:
                self._check(f"keys.{key.name}.models has", model)

    def _add(self, table: UpstreamSettings, upstream: Configured) -> None:
        self._named[table.name] = upstream
        for model in upstream.models:
            if model in self._upstreams:
                raise SettingError(
                    f"upstreams.{table.name}.models has {model!r}, which upstreams.{self._upstreams[model].name} "
                    "has already; a model belongs to one upstream"
                )
            self._upstreams[model] = upstream
        if upstream.lists and set(upstream.models) <= {"*"}:
            self._catalogues[table.name] = Catalogue(upstream.listed)
        elif not upstream.models:
            raise SettingError(f'upstreams.{table.name} has no models; name them, or write models = ["*"]')

    def _check(self, says: str, model: str) -> None:
        try:
            self.find(model)
        except MillstreamError as error:
            raise SettingError(f"{says} {model!r}, which no upstream has: {error.message}") from error

    @property
    def named(self) -> str:
        """Return the default model if the settings or a list already name it, otherwise "". Never waits."""
        return self._default

    @property
    def default(self) -> str:
        """Return the model for requests that name none: the settings' model, otherwise the first chat model of the
        first list. May wait for that list, but not long. Raises MillstreamError if there is no model."""
        if not self._default:
            found = self.models()
            if not found:
                trouble = next((one.trouble for one in self._catalogues.values() if one.trouble), None)
                public = "No model is known yet. Name one, or try again later."
                says = "No model is known yet: set MILLSTREAM_MODEL, or name one."
                raise trouble or MillstreamError("model_not_found", says, "model", public=public)
            self._default = found[0]
            log.warning("No model is set: asking %s, the first of the list. MILLSTREAM_MODEL chooses one.", found[0])
        return self._default

    def find(self, model: str) -> Upstream:
        """Find an upstream by the whole name, then by the demo's name with parameters, then by the upstreams' lists.
        Finally use an upstream that accepts any name. An unknown name renews the lists.

        Raises MillstreamError (model_not_found).
        """
        found = self._find(model)
        if found is None:
            names = self.models()
            listed = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
            raise MillstreamError(
                "model_not_found", f"There is no model {model[:100]!r} here; there is {listed}.", param="model"
            )
        table = self._tables[found.name]
        others = [self._member(name, model) for name in table.fallback]
        return Chain([Member(found, table.retries), *others], self._failed)

    def _find(self, model: str) -> Configured | None:
        exact = self._upstreams.get(model)
        demo = self._upstreams.get(model.partition("?")[0])
        if exact is not None or isinstance(demo, Demo):
            return exact or demo
        others = self._upstreams.get("*")
        if others is not None and {others.name}.issuperset(self._catalogues):
            return others  # even if its list does not have the model
        if (found := self._listing(model) or others) is not None:
            return found
        for catalogue in self._catalogues.values():
            catalogue.renew()
        unknown = (self._named[name] for name, catalogue in self._catalogues.items() if not catalogue.models)
        return self._listing(model) or next(unknown, None)  # an upstream whose list can't be fetched may have it

    def _listing(self, model: str) -> Configured | None:
        return next((self._named[name] for name, one in self._catalogues.items() if model in one.look()), None)

    def _member(self, name: str, asked: str) -> Member:
        """Return a fallback. It gets the requested model if it has it or accepts any name, otherwise its first
        model."""
        upstream = self._named[name]
        model = next((model for model in upstream.models if model != "*"), "")
        if not model and name in self._catalogues:
            listed = self._catalogues[name].look()
            model = "" if asked in listed else next((one.id for one in listed.values() if one.chats), "")
        return Member(upstream, self._tables[name].retries, model)

    def models(self) -> list[str]:
        """Return the names of all models that answer chats. May wait for first lists."""
        listed = [one.id for catalogue in self._catalogues.values() for one in catalogue.look().values() if one.chats]
        return list(dict.fromkeys([*self._explicit(), *listed]))

    def knows(self, name: str) -> bool:
        """Return True if the model's name is known now."""
        listed = any(name in one.models for one in self._catalogues.values())
        return name != "*" and (listed or name in self._upstreams)

    def model(self, name: str) -> Model | None:
        """Describe a model by its upstream's settings, list and kind, in this order. Doesn't block."""
        listed = ((self._named[up], one.models[name]) for up, one in self._catalogues.items() if name in one.models)
        upstream, says = next(listed, (self._upstreams.get(name, self._upstreams.get("*")), Model(name)))
        if upstream is None:
            return None
        return Model(name, vision=self._tables[upstream.name].sees(name)).and_(says).and_(upstream.known(name))

    def warm(self) -> None:
        """Fetch the lists in the background, so that no client has to wait for them."""
        if self._catalogues and not (self._default and "*" in self._upstreams):
            Thread(target=self._warm, daemon=True).start()

    def _warm(self) -> None:
        with suppress(MillstreamError):
            names = self.models()
            log.debug("%d models: %s", len(names), ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else ""))
            _ = self.default

    def _explicit(self) -> list[str]:
        return [model for model in self._upstreams if model != "*"]
