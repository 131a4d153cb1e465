"""The application: the one place where concrete parts are chosen."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flask import Flask
from msgspec import json
from werkzeug.middleware.proxy_fix import ProxyFix

from millstream.access import Access
from millstream.limits import Limits
from millstream.limits.table import open_storage
from millstream.settings import Settings, load
from millstream.stores.table import open_store
from millstream.streams import Row, Several, Streams
from millstream.upstreams.router import Router
from millstream.views import failures, intake, policy
from millstream.views.chat import chat
from millstream.views.openai import openai
from millstream.views.operator import operator
from millstream.views.page import page
from millstream.views.presets import presets
from millstream.views.services import Services
from millstream.views.streams import streams

ROOT = Path(__file__).resolve().parent


class LogEnds:
    """Writes one JSON line for each stream that ends: no prompt, no answer, no key."""

    def record(self, row: Row) -> None:
        logging.getLogger("millstream.ends").info("%s", json.encode(row).decode())


def create_app(settings: Settings | None = None) -> Flask:
    """The application, ready to serve in this process. Raises SettingError with a sentence for the operator."""
    settings = settings or load()
    app = Flask(__name__, root_path=str(ROOT))
    app.json.sort_keys = False  # type: ignore[attr-defined]
    workers = int(os.environ.get("WEB_CONCURRENCY") or 1)
    limits = Limits(settings, open_storage(settings.limits_store))
    ends = Several(LogEnds(), limits)
    use = Services(
        settings=settings,
        streams=Streams(open_store(settings.store, ttl=settings.ttl, workers=workers), settings, ends),
        models=Router(settings),
        access=Access(settings),
        limits=limits,
    )
    app.extensions["millstream"] = use
    for blueprint in (chat, openai, streams, page, presets, operator):
        app.register_blueprint(blueprint)
    failures.register(app)
    policy.register(app)
    app.after_request(intake.tell_rate_limits)
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)  # type: ignore[method-assign]
    use.streams.open()
    return app
