"""docs/openapi.yaml against the running server: what it allows is answered as it says, what it forbids is no 500."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

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


@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_each_address_answers_as_it_is_described(case: schemathesis.Case, server: Server) -> None:
    case.call_and_validate(base_url=server.url, checks=ANSWERED, timeout=60)


def test_every_address_for_programs_is_described(server: Server) -> None:
    from app import create_app
    from millstream.settings import Settings, UpstreamSettings

    app = create_app(Settings(store="memory:", upstreams=(UpstreamSettings("demo", "demo"),)))
    app.extensions["millstream"].streams.close()
    ours = {"/chat", "/streams", "/streams/<id>", "/streams/<id>/stop", "/presets", "/usage", "/healthz", "/readyz"}
    there = {rule.rule for rule in app.url_map.iter_rules()}
    assert ours <= there
    described = {path.replace("{", "<").replace("}", ">") for path in SCHEMA["paths"]}
    assert described <= there and ours <= described
