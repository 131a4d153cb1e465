"""Limits over both storages, for two workers; the requests that meet them are in tests/views and tests/system."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal

import gevent
import pytest
from msgspec.structs import replace

from millstream import limits as room
from millstream.errors import MillstreamError
from millstream.events import Usage
from millstream.limits import Limits, book
from millstream.limits.sqlite import SqliteStorage
from millstream.settings import KeySettings, Settings
from millstream.streams import Row

DEADLINE = 30.0  # s
ME, YOU = ("me", "192.0.2.1"), ("you", "192.0.2.2")  # name and address


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch):
    monkeypatch.setattr(room, "SETTLING", ())


@pytest.fixture
def workers(open_, url):
    """The limits as two workers have them."""
    made = []

    def workers(**settings: object):
        made[:] = [Limits(Settings(**settings), open_(url)) for _ in range(2)]
        return made

    yield workers
    for one in made:
        one.close()


def refusal(what, *arguments) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        what(*arguments)
    return caught.value


def row(id: str, caller: str = "me", tokens: int = 0) -> Row:
    return Row(id, caller, "chat", "m", "u", 0, 1, None, Usage(tokens, 0), "stop")


def passes(what) -> None:
    """Waits until it does."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            return what()
        except (MillstreamError, ZeroDivisionError):
            assert time.monotonic() < until
            gevent.sleep(0.02)


def test_a_try_passes_again_when_it_was_said_to(workers):
    one, other = workers()
    assert [limits.hit("login/me", 2, 1) for limits in (one, other)] == [0, 0]
    wait = one.hit("login/me", 2, 1)
    assert wait in (1, 2) and other.hit("login/you", 2, 1) == 0
    time.sleep(wait)
    assert other.hit("login/me", 2, 1) == 0


def test_tries_are_swept_where_nothing_else_is_counted(open_, tmp_path, monkeypatch):
    monkeypatch.setattr(book, "RENEW", 0.05)
    monkeypatch.setattr(book, "SWEEP", 0.05)
    limits = Limits(Settings(), open_(f"sqlite:{tmp_path}/limits.db"))
    assert limits.hit("login/me", 1, 1) == 0
    with closing(sqlite3.connect(tmp_path / "limits.db")) as file:
        passes(lambda: 1 / (file.execute("SELECT count(*) FROM leases").fetchone() == (0,)))
    limits.close()


def test_answers_in_a_minute_are_counted_for_all_workers_by_key(workers):
    one, other = workers(requests_per_minute=3)
    left = [limits.admit(*ME, str(n))["x-ratelimit-remaining-requests"] for n, limits in enumerate((one, other, one))]
    assert left == ["2", "1", "0"]
    error = refusal(other.admit, *ME, "4")
    assert (error.status, error.type, error.code) == (429, "rate_limit_error", "requests")
    assert 1 <= int(error.headers["Retry-After"]) <= 61
    assert error.headers["x-ratelimit-limit-requests"] == "3"
    assert error.headers["x-ratelimit-remaining-requests"] == "0"
    assert error.headers["x-ratelimit-reset-requests"] in [f"{n}s" for n in range(1, 60)] + ["1m0s"]
    one.admit(*YOU, "5")


def test_answers_in_a_minute_are_counted_by_address(workers):
    one, other = workers(requests_per_minute_address=1, requests_per_minute=5)
    assert one.admit("a", "2001:db8::1", "1")["x-ratelimit-limit-requests"] == "1"
    error = refusal(other.admit, "b", "2001:db8::2", "2")
    assert "from your address" in error.message
    one.admit("b", "2001:db8:0:1::1", "3")


def test_a_key_has_its_own_number(workers):
    one, _ = workers(requests_per_minute=1, keys=(KeySettings("me", "x", requests_per_minute=2),))
    one.admit(*ME, "1")
    one.admit(*ME, "2")
    assert "Only 2 answers a minute can be started with this key" in refusal(one.admit, *ME, "3").message


def test_running_answers_are_counted_by_key_and_in_all(workers):
    one, other = workers(streams=2, streams_total=3)
    one.admit(*ME, "1")
    other.admit(*ME, "2")
    error = refusal(one.admit, *ME, "3")
    assert (error.status, error.code, error.headers["Retry-After"]) == (429, "streams", "5")
    other.admit(*YOU, "4")
    error = refusal(one.admit, *YOU, "5")
    assert (error.status, error.code, error.headers["Retry-After"]) == (503, "full", "5")
    other.record(row("2"))
    passes(lambda: one.admit(*ME, "6"))


def test_an_answer_that_ends_twice_frees_one_place(workers):
    one, _ = workers(streams=2)
    one.admit(*ME, "1")
    one.admit(*ME, "2")
    for _ in range(3):
        one.record(row("1"))
    one.void("1")
    passes(lambda: one.admit(*ME, "3"))
    gevent.sleep(0.1)
    assert refusal(one.admit, *ME, "4").code == "streams"


def test_a_refused_answer_is_not_counted(workers):
    one, other = workers(streams=1, requests_per_minute=3, requests_per_minute_address=2)
    one.admit(*ME, "1")
    for _ in range(5):
        assert refusal(other.admit, *ME, "2").code == "streams"
    one.record(row("1"))
    passes(lambda: one.admit(*ME, "3"))
    for _ in range(3):
        assert refusal(other.admit, *ME, "4").code == "requests"  # its address has had two
    one.record(row("3"))
    passes(lambda: other.admit("me", "192.0.2.9", "5"))


def test_tokens_of_a_day_are_counted_when_answers_end(workers, monkeypatch):
    one, other = workers(tokens_per_day=100)
    assert one.admit(*ME, "1")["x-ratelimit-remaining-tokens"] == "100"
    one.record(row("1", tokens=70))
    other.record(row("2", tokens=70))  # it was running beside: a day's sum may be passed by what runs
    passes(lambda: refused_by_tokens(one))
    error = refusal(other.admit, *ME, "3")
    assert (error.status, error.code) == (429, "tokens")
    assert 1 <= int(error.headers["Retry-After"]) <= 86400
    assert error.headers["x-ratelimit-remaining-tokens"] == "0"
    one.admit(*YOU, "4")
    monkeypatch.setattr(room, "_today", lambda name: f"tokens/{name}/tomorrow")
    assert other.admit(*ME, "5")["x-ratelimit-remaining-tokens"] == "100"


def refused_by_tokens(limits, code: str = "tokens", who: tuple[str, str] = ME) -> None:
    """Raises as long as it is not."""
    try:
        limits.admit(*who, "x")
    except MillstreamError as error:
        if error.code == code:
            return
    raise MillstreamError("internal", "it passed")


def paid(id: str, cost: str, caller: str = "me", currency: str = "USD") -> Row:
    return replace(row(id, caller), cost=cost, currency=currency, created=time.time())


def test_money_is_counted_to_the_last_place_over_all_workers(workers):
    one, other = workers(budget="0.3/month")
    told = one.admit(*ME, "1")
    assert (told["x-ratelimit-limit-budget"], told["x-ratelimit-remaining-budget"]) == ("0.3", "0.3")
    for n in range(100):
        (one, other)[n % 2].record(paid(str(n), "0.002999999999"))
    other.record(paid("x", "5", currency="EUR"))  # of former prices
    passes(lambda: other.admit(*ME, "2")["x-ratelimit-remaining-budget"] == "0.0000000001" or 1 / 0)
    one.record(paid("101", "0.0000000001"))
    passes(lambda: refused_by_tokens(other, "budget"))
    error = refusal(one.admit, *ME, "3")
    assert (error.status, error.headers["x-ratelimit-remaining-budget"]) == (429, "0")
    assert re.fullmatch(r"Your budget of 0.3 USD for this month is used up. A new month begins in .*", error.message)
    assert 1 <= int(error.headers["Retry-After"]) <= 31 * 86400
    one.admit(*YOU, "4")


def test_a_budget_of_all_keys_beside_those_of_each(workers):
    keys = (KeySettings("me", "x", budget="1/day"), KeySettings("you", "y", budget=""))
    one, other = workers(budget="2/week", budget_total="3/month", keys=keys)
    one.record(paid("1", "1"))
    passes(lambda: refused_by_tokens(other, "budget"))
    assert "x-ratelimit-limit-budget" not in other.admit(*YOU, "2")
    other.record(paid("3", "2", "you"))
    passes(lambda: refused_by_tokens(one, "budget", YOU))
    assert "The budget of this server for this month is used up." in refusal(one.admit, *YOU, "4").message


def test_a_budget_that_is_set_late_counts_what_the_ledger_has(open_, url):
    asked: list[tuple[str, str]] = []
    settings = Settings(budget="1/month", budget_total="5/day")

    def spent(name: str, since: str) -> Decimal:
        asked.append((name, since))
        return Decimal("0.75")

    one, other = (Limits(settings, open_(url), spent) for _ in range(2))
    for limits in (one, other, one):
        assert limits.admit(*ME, "1")["x-ratelimit-remaining-budget"] == "0.25"
    assert [name for name, _ in asked] == ["me", ""]
    assert asked[0][1].endswith("-01") and [len(since) for _, since in asked] == [10, 10]
    assert [str(found.amount) for found in other.spent("me")] == ["0.750000000000"] * 2
    one.close()
    other.close()


def test_an_answer_is_paid_from_the_period_that_it_began_in(workers):
    one, _ = workers(budget="1/month")
    one.record(replace(paid("1", "1"), created=time.time() - 40 * 86400))
    one.record(paid("2", "0.5"))
    passes(lambda: one.admit(*ME, "2")["x-ratelimit-remaining-budget"] == "0.5" or 1 / 0)


def test_a_worker_that_leaves_tells_what_it_has_counted(workers):
    one, other = workers(tokens_per_day=100, streams=1)
    one.admit(*ME, "1")
    one.record(row("1", tokens=70))
    one.close()
    assert other.admit(*ME, "2")["x-ratelimit-remaining-tokens"] == "30"


def test_an_answer_that_is_just_ending_is_waited_for(workers, monkeypatch):
    monkeypatch.setattr(room, "SETTLING", (0.05,) * 100)
    one, other = workers(streams=1)
    one.admit(*ME, "1")
    gevent.spawn_later(0.2, one.record, row("1"))
    other.admit(*ME, "2")


def test_a_dead_workers_answer_is_ended_by_who_takes_it_over(workers):
    one, other = workers(streams=1, streams_total=1)
    one.admit(*ME, "1")
    one._book.held.clear()  # it died
    other.record(row("1"))
    passes(lambda: other.admit(*ME, "2"))


DYING = """
import sys, gevent
from millstream.limits import Limits, Settings, book
from millstream.limits.table import open_storage
import millstream.limits as room
room.LEASE = book.LEASE = 0.6
book.RENEW = 0.1
Limits(Settings(streams=1), open_storage(sys.argv[1])).admit("me", "", "1")
print("holds", flush=True)
gevent.sleep(60)
"""


def test_a_clock_that_was_set_back_blocks_nobody_for_longer(open_, tmp_path, monkeypatch):
    clock = [time.time()]
    monkeypatch.setattr("millstream.limits.sqlite.time", lambda: clock[0])
    limits = Limits(Settings(requests_per_minute=1, streams=1), open_(f"sqlite:{tmp_path}/limits.db"))
    limits.admit(*ME, "1")
    limits._book.held.clear()  # its worker has died
    clock[0] -= 3600
    limits.admit(*ME, "2")
    assert refusal(limits.admit, *ME, "3").code == "requests"
    limits.close()


def test_a_killed_workers_places_are_free_again(workers, url):
    one, _ = workers(streams=1)
    process = subprocess.Popen([sys.executable, "-c", DYING, url], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "holds\n"
        gevent.sleep(0.8)  # longer than a lease: it is renewed
        assert refusal(one.admit, *ME, "2").code == "streams"
        os.kill(process.pid, signal.SIGKILL)
        passes(lambda: one.admit(*ME, "2"))


def test_without_limits_no_storage_is_asked(open_, monkeypatch):
    monkeypatch.setattr(SqliteStorage, "run", None)
    limits = Limits(Settings(), open_("sqlite:/nowhere/limits.db"))
    assert limits.admit(*ME, "1") == {}
    limits.record(row("1", tokens=5))
    gevent.sleep(0)
    with pytest.raises(TypeError):  # as it would be here, too
        Limits(Settings(streams=1), open_("sqlite:/nowhere/limits.db")).admit(*ME, "1")
