from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gevent
import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from app import create_app
from millstream.settings import Secret, Settings, UpstreamSettings

# Hundreds of applications have the same addresses. Werkzeug compiles two functions for each, which is three quarters
# of the time that an application takes.
compile_builder = Rule._compile_builder
builders: dict[tuple[object, ...], Callable[..., Any]] = {}


def compiled_once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    key = (rule.rule, *rule._trace, str(rule.defaults), append_unknown)
    if key not in builders:
        builders[key] = compile_builder(rule, append_unknown)
    return builders[key]


Rule._compile_builder = compiled_once


class Compiled(BytecodeCache):
    """The templates of all applications. Compiling them again took a third of the time of the pages' tests."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Compiled()}

DEMO = UpstreamSettings(name="demo", kind="demo", models=("demo",), extra={"pace": 100000, "tokens": 20})


@pytest.fixture(autouse=True)
def cooperative_sleep(monkeypatch):
    """As wsgi.py's patch has it: the demo's pauses let the others go on."""
    monkeypatch.setattr("time.sleep", gevent.sleep)


@pytest.fixture
def make_app(tmp_path):
    """Makes the application over the demo upstream; settings as the test wants."""
    made = []

    def make(**settings: object):
        settings = {
            "store": "memory:",
            "database": f"sqlite:///{tmp_path}/usage.db",
            "upstreams": (DEMO,),
            "limits_store": f"sqlite:{tmp_path}/limits.db",
            "session_secret": Secret(f"file:{tmp_path}/session-secret"),
            **settings,
        }
        app = create_app(Settings(**settings))
        app.testing = True
        app.config["PROPAGATE_EXCEPTIONS"] = False
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["millstream"].close()


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()
