from __future__ import annotations

import pytest

from millstream.limits.table import open_storage
from tests.system.redis_server import Redises


@pytest.fixture(scope="session")
def redises():
    with Redises() as redises:
        yield redises


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.system)])
def url(request, empty):
    """An empty storage's address."""
    return empty(request.param)


@pytest.fixture
def empty(request, tmp_path):
    """Gives the address of one of this kind."""

    def empty(kind):
        return f"sqlite:{tmp_path}/limits.db" if kind == "sqlite" else request.getfixturevalue("redises").empty(kind)

    return empty


@pytest.fixture
def open_():
    """Opens a storage as one more worker."""
    opened = []

    def open_(url):
        opened.append(open_storage(url))
        return opened[-1]

    yield open_
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(open_, url):
    return open_(url)
