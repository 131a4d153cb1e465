"""What the file store erases, and what becomes of the claims on it."""

from __future__ import annotations

import os
import time

import gevent
import pytest

from millstream.errors import Unavailable
from millstream.stores.file import FileStore
from tests.stores.samples import ID, OTHER, TTL, abandoned, done, log, longest_turn, message, meta, path_of


def test_sweeping_removes_what_dead_workers_left(files, directory, process):
    dead = process()
    dead.ask("create", ID)
    dead.kill()
    (directory / "claims" / ("0" * 64)).symlink_to("z" * 22)
    assert (directory / f"{dead.name}.sock").exists()
    assert list(directory.glob(f"{dead.name}-*.spare"))
    assert files.one.sweep(time.time() + TTL - 60) == 0
    assert files.one.sweep(time.time() + TTL + 60) == 1
    assert not list(directory.glob(f"{dead.name}*"))
    left = {path.name for path in directory.rglob("*") if path.suffix != ".spare"}
    assert left == {"claims", "lock", f"{files.one.worker}.sock", f"{files.two.worker}.sock"}


def test_workers_that_sweep_at_once_erase_each_log_once(files, directory, process):
    for n in range(300):
        abandoned(directory, [[done(1)]], f"{n:022d}")
    then = time.time() + TTL + 60
    others = [process() for _ in range(3)]
    for other in others:
        other.say("sweep", then)
    here = [gevent.spawn(store.sweep, then) for store in (files.one, files.two)]
    gevent.joinall(here, raise_error=True)
    assert sum(each.value for each in here) + sum(int(other.hear()) for other in others) == 300
    assert list(directory.glob("*.log")) == []


def test_a_claim_of_an_expired_stream_goes_to_the_next(files, directory):
    files.one.create(meta(files.one, claim="key"))
    files.one.append(ID, [done(1)])
    long_ago = time.time() - TTL - 60
    os.utime(path_of(directory), (long_ago, long_ago))
    newer = meta(files.two, OTHER, claim="key")
    assert files.two.create(newer) == newer


def test_a_clock_that_was_set_back_keeps_nothing_longer(files, directory):
    files.one.create(meta(files.one))
    files.one.append(ID, [done(1)])
    ahead = time.time() + 3600
    os.utime(path_of(directory), (ahead, ahead))
    assert files.one.sweep(time.time()) == 0  # it lives, but only as long as any other from now on
    assert files.one.sweep(time.time() + TTL + 60) == 1


def test_of_several_processes_exactly_one_replaces_a_stale_claim(directory, files, process):
    for n in range(300):
        files.one.create(meta(files.one, f"{n:022d}", claim=f"key {n}"))
        path_of(directory, f"{n:022d}").unlink()
    others = [process() for _ in range(3)]
    for other in others:
        other.say("claim", 300)
    assert sum(int(other.hear()) for other in others) == 300


def test_what_dead_workers_left_are_orphans_running_or_ended(files, directory, process):
    dead, living = process(), process()
    dead.ask("create", ID)
    dead.ask("create", OTHER)
    dead.ask("end", OTHER, 1)
    living.ask("create", "c" * 22)
    files.two.create(meta(files.two, "d" * 22))
    (directory / f"{'e' * 22}.log").write_bytes(b"1 this is no log")
    assert files.one.orphans() == []
    dead.kill()
    assert set(files.one.orphans()) == {ID, OTHER}
    files.one.delete(OTHER)
    assert files.one.orphans() == [ID]


def test_no_pass_over_all_logs_holds_the_event_loop(files, directory):
    for n in range(2000):
        abandoned(directory, [[done(1)]], f"{n:022d}", claim=str(n))
    for work in (files.one.orphans, files.one._room.look, lambda: files.one.sweep(time.time())):
        longest, _ = longest_turn(work)
        assert longest < 0.03  # s of CPU between two turns of the loop
    assert len(list(directory.glob("*.log"))) == 2000  # there for each of them


def test_no_look_at_all_that_is_watched_holds_the_event_loop(files):
    for n in range(2000):
        files.one.create(meta(files.one, f"{n:022d}"))
        files.two.watch(f"{n:022d}", lambda: None)
    longest, whole = longest_turn(files.two._look)
    assert longest < whole / 4


def test_where_logs_take_too_much_those_that_ended_first_go_and_then_nothing_new_begins(directory):
    store = FileStore(directory, TTL, 100_000)
    ended = [f"{n:022d}" for n in range(10)]
    for age, id in zip(range(1000, 0, -100), ended, strict=True):
        store.create(meta(store, id))
        store.append(id, [message(1, "x" * 9700), done(2)])
        os.utime(path_of(directory, id), (time.time() - age,) * 2)
    assert not store.away
    store.create(meta(store, ID))
    store._room.look()
    left = {path.stem for path in directory.glob("*.log")}
    assert left == {ID, *ended[2:]}  # down to four fifths
    store.append(ID, [message(1, "x" * 30_000)])
    assert store.away
    with pytest.raises(Unavailable) as refused:
        store.create(meta(store, OTHER))
    assert refused.value.code == "store_unavailable"
    store._room.look()
    assert not store.away
    assert store.create(meta(store, OTHER))
    assert log(store, ID)[0].n == 1  # what runs stays
    store.close()


def test_a_disk_that_is_almost_full_takes_nothing_new(directory, monkeypatch):
    store = FileStore(directory, TTL)
    full = os.statvfs_result((4096, 4096, 1 << 20, 100, 100, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    store._room.look()
    assert store.away
    monkeypatch.undo()
    store._room.look()
    assert not store.away
    store.close()
