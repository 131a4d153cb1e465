from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from millstream.stores import Store
from millstream.stores.file import FileStore
from millstream.stores.table import open_store
from tests.memory import memory
from tests.stores.other_worker import OtherWorker
from tests.stores.samples import TTL
from tests.system.redis_server import REDISES, Redises, RedisServer


class Workers:
    """Stores on the same streams: `one` owns what the tests create, `two` is another worker where there is one."""

    def __init__(self, stores: list[Store]) -> None:
        self.one, self.two = stores[0], stores[-1]
        self.said: list[tuple[str, str, str]] = []  # in the inbox of `one`
        self.one.start(lambda worker, id, word: self.said.append((worker, id, word)))
        if self.two is not self.one:
            self.two.start(lambda worker, id, word: None)

    def close(self) -> None:
        self.one.close()
        self.two.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not tmp_path: in one of several processes of pytest it is too long for a socket's address.
    with TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder) / "parent" / "streams"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Of an empty database."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def redises() -> Iterator[Redises]:
    with Redises() as redises:
        yield redises


@pytest.fixture(params=["memory", "file", *(pytest.param(kind, marks=pytest.mark.system) for kind in REDISES)])
def workers(request: pytest.FixtureRequest, directory: Path) -> Iterator[Workers]:
    """Each store under the contract; a new one is one line here."""
    if request.param == "memory":
        urls = ["memory:"]
    elif request.param == "file":
        urls = [f"file:{directory}"] * 2
    else:
        urls = [request.getfixturevalue("redises").empty(request.param)] * 2
    made = Workers([open_store(url, ttl=TTL, workers=len(urls)) for url in urls])
    yield made
    made.close()


@pytest.fixture
def files(directory: Path) -> Iterator[Workers]:
    """Two workers on one directory, in this process."""
    made = Workers([FileStore(directory, TTL), FileStore(directory, TTL)])
    yield made
    made.close()


@pytest.fixture
def process(directory: Path) -> Iterator[type[OtherWorker] | object]:
    """Makes workers that are real processes on the same directory."""
    made: list[OtherWorker] = []

    def make(**options: object) -> OtherWorker:
        made.append(OtherWorker(f"file:{directory}", **options))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


@pytest.fixture
def redis_process(redis_url: str) -> Iterator[type[OtherWorker] | object]:
    """The same for Redis."""
    made: list[OtherWorker] = []

    def make() -> OtherWorker:
        made.append(OtherWorker(redis_url))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


@pytest.fixture
def shared(redis_url: str) -> Iterator[Workers]:
    """Two workers on one Redis, in this process."""
    made = Workers([open_store(redis_url, ttl=TTL, workers=2) for _ in range(2)])
    yield made
    made.close()
