"""What several files of real parts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.doors import Door, opened


@pytest.fixture(scope="session")
def doors() -> Iterator[dict[str, tuple[Door, Door]]]:
    """One Millstream for all: with the real model, the mock and the recorded answers behind it."""
    with opened() as doors:
        yield doors
