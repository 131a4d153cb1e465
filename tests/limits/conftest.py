from __future__ import annotations

import pytest
from redis import Redis

from millstream.limits.table import open_storage
from tests.system.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.system)])
def url(request, tmp_path):
    """An empty storage's address."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/limits.db"
    server = request.getfixturevalue("redis_server")
    with Redis.from_url(server.url) as client:
        client.flushdb()
    return server.url


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
