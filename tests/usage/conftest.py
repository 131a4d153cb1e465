from __future__ import annotations

import pytest

from millstream.usage import Ledger
from tests.usage.postgres import Postgres


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def address(request, tmp_path):
    """A database of each kind, with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/usage.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def ledger(address):
    return Ledger(address)
