"""A storage that can't count: nobody who has limits is let through, nothing waits long, and nothing is lost."""

from __future__ import annotations

import sqlite3
import time

import gevent
import pytest

from millstream.errors import Unavailable
from millstream.events import Usage
from millstream.limits import Limits, book, sqlite
from millstream.limits.storage import StorageDown
from millstream.limits.table import open_storage
from millstream.settings import SettingError, Settings
from millstream.streams import Row
from tests.system.redis_server import RedisServer

DEADLINE = 30.0  # s
ME = ("me", "")


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY", 0.3)
    monkeypatch.setattr(sqlite, "PAUSE", 0.1)
    monkeypatch.setattr(book, "AGAIN", 0.05)


def counted(storage, key: str, wanted: int) -> None:
    """Waits until it is."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            if storage.run(lambda: storage.get(key)) == wanted:
                return
        except StorageDown:
            pass
        assert time.monotonic() < until
        gevent.sleep(0.05)


def ends(limits: Limits) -> None:
    limits.record(Row("1", "me", "chat", "m", "u", 0, 1, None, Usage(3, 4), "stop"))


def test_a_locked_file_holds_nobody_up_and_is_told_later(tmp_path, open_, monkeypatch, caplog):
    path = tmp_path / "limits.db"
    storage = open_(f"sqlite:{path}")
    limits = Limits(Settings(tokens_per_day=100, streams=1), storage)
    monkeypatch.setattr("millstream.limits._today", lambda name: name)
    limits.admit(*ME, "1")
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.01)) for _ in range(1000)])
    began = time.monotonic()
    asked = [gevent.spawn(limits.admit, *ME, str(n)) for n in range(2, 12)]
    gevent.joinall(asked, DEADLINE)
    took = time.monotonic() - began
    errors = [one.exception for one in asked]
    assert {(type(error), error.code) for error in errors} == {(Unavailable, "store_unavailable")}
    assert took < 3 * sqlite.BUSY  # all of them together: they don't queue up behind each other's waits
    assert len(ticks) > 5  # meanwhile the loop went on
    ends(limits)
    gevent.sleep(sqlite.BUSY + 0.2)
    lock.execute("ROLLBACK")
    lock.close()
    ticking.kill()
    counted(storage, "me", 7)
    limits.admit(*ME, "12")
    assert len([line for line in caplog.messages if "can't be counted" in line]) == 2  # once each, not for every try
    limits.close()


def test_a_file_that_is_no_database_is_named(tmp_path, open_, caplog):
    path = tmp_path / "limits.db"
    path.write_bytes(b"no database at all\n" * 100)
    with pytest.raises(Unavailable):
        Limits(Settings(streams=1), open_(f"sqlite:{path}")).admit(*ME, "1")
    assert f"{path}: file is not a database" in caplog.text


@pytest.mark.system
def test_redis_that_is_away_for_a_while(open_, monkeypatch):
    monkeypatch.setattr("millstream.limits._today", lambda name: name)
    with RedisServer() as redis:
        storage = open_(redis.url)
        limits = Limits(Settings(tokens_per_day=100, streams=1), storage)
        limits.admit(*ME, "1")
        redis.stop()
        with pytest.raises(Unavailable):
            limits.admit(*ME, "2")
        ends(limits)
        gevent.sleep(0.1)
        redis.start()
        counted(storage, "me", 7)
        limits.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgres://me:secret@a", "limits_store begins with 'postgres'; it has to be sqlite:FILE or redis://…"),
        ("sqlite:", "it has to name a file: sqlite:limits.db"),
        ("redis://:secret@a:b/0", "the address of Redis can't be read"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(url, says):
    with pytest.raises(SettingError) as caught:
        open_storage(url)
    assert says in str(caught.value) and "secret" not in str(caught.value)
