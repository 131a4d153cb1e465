"""What every storage does; `storage` and `other` are those of two workers."""

from __future__ import annotations

import time

import pytest

from millstream.limits.storage import Places
from tests.system.redis_server import REDISES


@pytest.fixture(params=["sqlite", *(pytest.param(kind, marks=pytest.mark.system) for kind in REDISES)])
def url(request, empty):
    return empty(request.param)


@pytest.fixture
def other(open_, url):
    return open_(url)


def wait_for(what, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_counter_counts_for_all_workers(storage, other):
    assert storage.run(lambda: storage.get("a")) == 0
    assert [one.run(lambda one=one: one.incr("a", 60, 5)) for one in (storage, other, storage)] == [5, 10, 15]
    assert (other.run(lambda: other.get("a")), other.run(lambda: other.get("b"))) == (15, 0)


def test_a_moving_window_has_so_many_places_for_all_workers(storage, other):
    takes = [
        one.run(lambda one=one, id=id: one.lease(id, {"a": Places(3, 60)}))
        for id, one in zip("123456", (storage, other) * 3, strict=True)
    ]
    assert takes == [None, None, None, "a", "a", "a"]
    count, left = other.run(lambda: other.taken("a", 60))
    assert (count, 30 < left <= 60) == (3, True)
    assert other.run(lambda: other.taken("b", 60)) == (0, 60)


def test_counters_and_places_in_a_window_expire(storage):
    def take() -> bool:
        return storage.run(lambda: storage.lease(str(time.monotonic()), {"window": Places(1, 1)})) is None

    storage.run(lambda: storage.incr("counter", 1))
    assert [take(), take()] == [True, False]
    wait_for(take)
    wait_for(lambda: storage.run(lambda: storage.get("counter")) == 0)
    assert storage.run(lambda: storage.incr("counter", 60)) == 1


def test_a_lease_takes_a_place_of_each_name_or_none(storage, other):
    def take(one, id, **most):
        return one.run(lambda: one.lease(id, {name: Places(number, 60) for name, number in most.items()}))

    assert take(storage, "1", team=1, all=2) is None
    assert take(other, "2", team=1, all=2) == "team"
    assert take(other, "3", friends=1, all=2) is None
    assert take(storage, "4", others=1, all=2) == "all"
    other.run(lambda: other.end({"team": ["1"], "all": ["1", "absent"]}))  # whose worker died, for example
    assert take(storage, "5", others=1, all=2) is None
    assert take(storage, "6", team=1, all=3) is None


def test_a_lease_ends_by_itself_unless_it_is_renewed(storage, other):
    storage.run(lambda: storage.lease("1", {"a": Places(1, 0.2)}))
    storage.run(lambda: storage.renew({"a": ["1"]}, 60))
    storage.run(lambda: storage.lease("2", {"b": Places(1, 0.2)}))
    wait_for(lambda: other.run(lambda: other.lease("3", {"b": Places(1, 60)})) is None)
    assert other.run(lambda: other.lease("4", {"a": Places(1, 60)})) == "a"


def test_renewing_brings_back_what_a_storage_has_lost(storage):
    storage.run(lambda: storage.renew({"a": [str(n) for n in range(2500)]}, 60))
    assert storage.run(lambda: storage.lease("x", {"a": Places(2500, 60)})) == "a"
    storage.run(lambda: storage.end({"a": [str(n) for n in range(2500)]}))
    assert storage.run(lambda: storage.lease("x", {"a": Places(1, 60)})) is None


def test_an_error_in_a_job_comes_out_of_it(storage):
    with pytest.raises(ZeroDivisionError):
        storage.run(lambda: 1 / 0)
    assert storage.run(lambda: 7) == 7
