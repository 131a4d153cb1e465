"""Build the Flask application. This is the only module that chooses concrete parts: store, upstreams, limits."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from millstream.access import Access
from millstream.access.keyring import Keyring
from millstream.access.sessions import Sessions, open_secret
from millstream.limits import Limits
from millstream.limits.marks import Marks
from millstream.limits.storage import Storage
from millstream.limits.table import open_storage
from millstream.metrics import Metrics
from millstream.settings import SITE, Settings, load, make_state
from millstream.stores.table import open_store
from millstream.streams import Aside, Several, Streams, Writer
from millstream.upstreams.router import Router, check_prepared
from millstream.usage import Ledger
from millstream.usage.sums import total
from millstream.views import cors, doors, failures, intake, journal, policy, preferences
from millstream.views.calls import calls
from millstream.views.chat import chat
from millstream.views.doctor import doctor
from millstream.views.login import login
from millstream.views.manifest import manifest
from millstream.views.messages import messages
from millstream.views.models import models as list_of_models
from millstream.views.ollama import ollama
from millstream.views.operator import operator
from millstream.views.page import page
from millstream.views.presets import presets
from millstream.views.request import Request
from millstream.views.responses import responses
from millstream.views.scripts import scripts
from millstream.views.services import Services
from millstream.views.streams import streams
from millstream.views.ui import ui
from millstream.views.usage import usage


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, ready to serve in this process. Raises SettingError with a sentence for the
    operator."""
    settings = settings or load()
    make_state(settings)
    app = Flask(__name__, root_path=str(SITE))
    app.request_class = Request
    app.json.sort_keys = False  # type: ignore[attr-defined]
    workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
    store = open_store(settings.store, ttl=settings.ttl, workers=workers, size=settings.store_size)
    storage = open_storage(settings.limits_store)
    ledger, aside = Ledger(settings.database), Aside()
    limits = Limits(settings, storage, lambda *of: _spent(app, *of))
    writer = Writer(ledger.write, aside)
    metrics = Metrics(settings)
    models = Router(settings, failed=metrics.failed)
    metrics.take(settings, models.knows)
    ends = Several(writer, journal.Unheard(settings.log), limits, metrics)
    use = Services(
        settings=settings,
        streams=Streams(store, settings, ends, metrics, missed=writer),
        models=models,
        access=_access(settings, storage),
        limits=limits,
        metrics=metrics,
        ledger=ledger,
        aside=aside,
        writer=writer,
        change=lambda changed: _change(app, changed, storage),
    )
    app.extensions["millstream"] = use
    journal.register(app, settings.log)  # first: it starts before all others and sees the final response
    cors.register(app, settings.cors)
    for blueprint in (chat, login, streams, page, manifest, presets, scripts, usage, operator, doctor):
        app.register_blueprint(blueprint)
    doors.register(app)
    for blueprint in (calls, list_of_models, messages, ollama, responses, ui):
        app.register_blueprint(blueprint)
    failures.register(app)
    preferences.register(app)
    app.after_request(policy.restrict)
    app.after_request(intake.tell_rate_limits)
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)  # type: ignore[method-assign]
    use.streams.open()
    models.warm()
    return app


def _spent(app: Flask, name: str, since: str) -> Decimal:
    """Return what a caller, or "" for all callers, has spent since a day. Raises Unavailable."""
    use: Services = app.extensions["millstream"]
    return total(use.sums((), since, name or None)).costs.get(use.settings.currency, Decimal(0))


def _access(settings: Settings, storage: Storage) -> Access:
    keys = Keyring(settings.keys)
    secret = open_secret(settings.session_secret) if keys else b""
    return Access(settings, keys, Sessions(secret, keys, Marks(storage), settings.session))


def _change(app: Flask, settings: Settings, storage: Storage) -> None:
    """Apply changed settings to new requests. Running requests keep the old parts."""
    use: Services = app.extensions["millstream"]
    check_prepared(settings)
    models = Router(settings, failed=use.metrics.failed, before=use.models)
    access = _access(settings, storage)  # nothing after this line may raise
    use.limits.take(settings)
    use.metrics.take(settings, models.knows)
    models.warm()
    use.streams.settings = settings
    app.extensions["millstream"] = replace(use, settings=settings, models=models, access=access)
