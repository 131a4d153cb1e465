"""Rows on their way to a database: in batches, off the event loop, again until it takes them, never lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import gevent
import pytest
from gevent.event import Event as Signal

from millstream.streams import Aside, Row, Writer, writer
from tests.streams.fakes import WAIT
from tests.usage.samples import row


class Database:
    """Takes rows in a thread, unless it is `away`; counts each once, as the ledger does."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.batches: list[int] = []
        self.away = False
        self.threads: set[int] = set()
        self.tried = 0

    def write(self, rows: list[Row]) -> None:
        self.tried += 1
        self.threads.add(threading.get_native_id())
        if self.away:
            raise OSError("database is locked")
        self.batches.append(len(rows))
        self.rows.update({row.id: row for row in rows})


@pytest.fixture
def database(monkeypatch):
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    return Database()


@pytest.fixture
def make(database):
    made = []

    def make() -> Writer:
        made.append(Writer(database.write, Aside()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_no_thread_is_left_of_what_was_done_aside() -> None:
    aside = Aside()
    thread = Path(f"/proc/self/task/{aside.run(threading.get_native_id)}")
    assert thread.exists()
    aside.close()
    until(lambda: not thread.exists())


def until(true) -> None:
    with gevent.Timeout(WAIT):
        while not true():
            gevent.sleep(0.005)


def test_what_ends_together_is_written_together_in_another_thread(make, database):
    one = make()
    for n in range(1200):
        one.record(row(n))
    until(lambda: len(database.rows) == 1200)
    assert database.batches == [500, 500, 200]
    assert threading.get_native_id() not in database.threads


def test_the_event_loop_goes_on_while_the_database_is_slow(make, database):
    begun, go_on = threading.Event(), threading.Event()

    def slow(rows):
        begun.set()
        go_on.wait(WAIT)
        Database.write(database, rows)

    database.write = slow
    one = make()
    one.record(row(1))
    until(begun.is_set)
    ticked = Signal()
    gevent.spawn_later(0.01, ticked.set)
    assert ticked.wait(WAIT)
    assert database.rows == {}
    go_on.set()
    until(lambda: database.rows)


def test_a_database_that_is_away_gets_everything_later_with_one_warning(make, database, caplog):
    one = make()
    database.away = True
    for n in range(3):
        one.record(row(n))
    until(lambda: database.tried > 3)
    database.away = False
    one.record(row(3))
    until(lambda: len(database.rows) == 4)
    assert caplog.text.count("database is locked") == 1
    until(lambda: caplog.text.count("the ledger is written again") == 1)


def test_closing_writes_what_waits(make, database):
    one = make()
    one.record(row(1))
    one.close()
    assert list(database.rows) == ["1"]


def test_rows_that_can_not_be_written_at_the_end_are_in_the_log(make, database, caplog):
    one = make()
    database.away = True
    one.record(row("left-over", model="a\nb"))
    begun = time.monotonic()
    one.close()
    assert time.monotonic() - begun < WAIT
    (said,) = [record.getMessage() for record in caplog.records if "could not take" in record.getMessage()]
    assert '"id":"left-over"' in said
    assert "\n" not in said


def test_closing_does_not_wait_for_a_database_that_hangs(make, database, caplog):
    go_on = threading.Event()
    database.write = lambda rows: go_on.wait(WAIT)
    one = make()
    one.record(row(1))
    begun = time.monotonic()
    one.close(seconds=0.1)
    assert time.monotonic() - begun < WAIT / 2
    assert '"id":"1"' in caplog.text
    go_on.set()


def test_memory_is_bounded_and_what_falls_out_is_in_the_log(make, database, caplog, monkeypatch):
    monkeypatch.setattr(writer, "MOST", 3)
    one = make()
    database.away = True
    for n in range(5):
        one.record(row(n))
    assert ['"id":"0"' in caplog.text, '"id":"1"' in caplog.text, '"id":"2"' in caplog.text] == [True, True, False]
    database.away = False
    until(lambda: set(database.rows) == {"2", "3", "4"})
