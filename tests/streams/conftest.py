from __future__ import annotations

import pytest

from millstream.settings import Settings
from millstream.stores.table import open_store
from millstream.streams import Streams
from tests.streams.fakes import Led, Rows


@pytest.fixture
def upstream():
    return Led()


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def make_streams(rows):
    """Makes a Streams with settings of the test's choice; all of them are closed at the end."""
    made = []

    def make(store: str = "memory:", **settings: object) -> Streams:
        streams = Streams(open_store(store, ttl=600, workers=1), Settings(**settings), rows)
        streams.open()
        made.append(streams)
        return streams

    yield make
    for streams in made:
        for live in list(streams.live.values()):
            live.stop()
        streams.close()


@pytest.fixture
def streams(make_streams):
    return make_streams()
