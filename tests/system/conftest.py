"""Fixtures for tests with real parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.doors import Door, opened


@pytest.fixture(scope="session")
def doors() -> Iterator[dict[str, tuple[Door, Door]]]:
    """Start one Millstream for all tests, with the real model, the mock and recorded answers as upstreams."""
    with opened() as doors:
        yield doors
