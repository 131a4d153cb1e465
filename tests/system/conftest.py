"""Fixtures for tests with real parts."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.system.doors import Door, opened
from tests.system.mock_openai import TESTS
from tests.system.program import Program


@pytest.fixture(scope="session")
def doors() -> Iterator[dict[str, tuple[Door, Door]]]:
    """Start one Millstream for all tests, with the real model, the mock and recorded answers as upstreams."""
    with opened() as doors:
        yield doors


@pytest.fixture(scope="session")
def node_sdk() -> Iterator[Program]:
    """tests/node/sdk.js."""
    with Program("node", "sdk.js", folder=TESTS / "node") as program:
        yield program


@pytest.fixture(scope="session")
def llm_program() -> Iterator[Program]:
    """Without plugins: the packaged model's own needs a library that is not here."""
    environ = {"LLM_LOAD_PLUGINS": "", "NO_PROXY": "127.0.0.1"}
    with Program(sys.executable, "-m", "tests.system.llm_program", folder=TESTS.parent, **environ) as program:
        yield program
