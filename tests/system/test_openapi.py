"""docs/openapi.yaml against the running server: what it allows is answered as it says, what it forbids is no 500."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import create_app
from millstream.settings import Settings, UpstreamSettings
from tests.system.server import ROOT, Server

pytestmark = pytest.mark.system

SCHEMA = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text("utf-8"))
schema = schemathesis.openapi.from_dict(SCHEMA)
ANSWERED = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    table = {"demo": {"kind": "demo", "models": ["demo?pace=0&tokens=5"]}}
    with Server(upstreams=table, max_streams=200) as server:
        yield server


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:  # else each call leaves one open, until the garbage collector comes
        yield session


@schema.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_each_address_answers_as_it_is_described(
    case: schemathesis.Case, server: Server, session: requests.Session
) -> None:
    case.call_and_validate(base_url=server.url, session=session, checks=ANSWERED, timeout=60)


# What browsers load, and the doctor's own.
PAGES = {
    "/",
    "/page.js",
    "/manifest.webmanifest",
    "/logo",
    "/offline.js",
    "/static/{filename}",
    "/doctor",
    "/doctor/marks",
}


def test_every_address_but_the_pages_is_described() -> None:
    app = create_app(Settings(store="memory:", upstreams=(UpstreamSettings("demo", "demo"),)))
    app.extensions["millstream"].streams.close()
    there: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        methods = {method.lower() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
        there.setdefault(re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule.rule), set()).update(methods)
    described = {path: {word for word in item if word != "parameters"} for path, item in SCHEMA["paths"].items()}
    assert described == {path: methods for path, methods in there.items() if path not in PAGES}
