"""What the file store does when the disk takes no more."""

from __future__ import annotations

import os
import time

import pytest

from millstream.errors import Unavailable
from tests.stores.samples import ID, OTHER, TTL, done, everything, log, message, meta, path_of


def test_a_full_disk_refuses_new_streams_and_leaves_nothing_behind(files, directory, monkeypatch, caplog):
    monkeypatch.setattr(os, "write", lambda fd, data: 10)
    with pytest.raises(Unavailable) as refused:
        files.one.create(meta(files.one, claim="key"))
    assert refused.value.code == "store_unavailable"
    assert list(directory.glob("*.log")) == []
    monkeypatch.undo()
    mine = meta(files.one, claim="key")
    assert files.one.create(mine) == mine


def test_a_claim_that_can_not_be_kept_refuses_the_stream(files, directory, monkeypatch, caplog):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "symlink", full)
    with pytest.raises(Unavailable):
        files.one.create(meta(files.one, claim="key"))
    assert list(directory.glob("*.log")) == []


@pytest.mark.parametrize("room", [0, 1, 5, 26, 27, 28, 60, 100])
def test_a_full_disk_lets_local_followers_read_on_from_memory(files, monkeypatch, caplog, room):
    files.one.create(meta(files.one))
    files.one.append(ID, [message(1)])
    follower = files.one.reader(ID)
    fill(monkeypatch, room)
    batches = [[message(n), message(n + 1, "é")] for n in (2, 4, 6)]
    positions = [files.one.append(ID, batch) for batch in batches]
    whole = [message(1), *batches[0], *batches[1], *batches[2]]
    for limit in (1, 65536):
        assert log(files.one, limit=limit) == whole
    assert everything(follower, limit=1) == whole
    follower.seek(positions[-1])
    assert follower.read() == []
    assert log(files.two) == whole[: len(log(files.two))]  # whole events only, in order
    assert caplog.text.count("can't be written") == 1


@pytest.mark.parametrize("room", [0, 30, 60, 100])
def test_positions_in_memory_can_be_sought(files, monkeypatch, caplog, room):
    files.one.create(meta(files.one))
    fill(monkeypatch, room)
    positions = [files.one.append(ID, [message(n), message(n + 1)]) for n in (1, 3, 5)]
    for position, rest in zip(positions, ([3, 4, 5, 6], [5, 6], []), strict=True):
        reader = files.one.reader(ID)
        reader.seek(position)
        assert [event.n for event in everything(reader)] == rest
        reader.close()


def test_a_stream_that_went_on_in_memory_is_written_at_its_end_if_there_is_room(files, monkeypatch, caplog):
    files.one.create(meta(files.one))
    fill(monkeypatch, 10)
    files.one.append(ID, [message(1), message(2)])
    monkeypatch.undo()
    files.one.append(ID, [done(3)])
    assert log(files.one) == log(files.two) == [message(1), message(2), done(3)]


def test_a_stream_that_ended_in_memory_stays_whole_for_its_worker_and_fails_for_others(files, monkeypatch, caplog):
    files.one.create(meta(files.one))
    files.one.append(ID, [message(1)])
    fill(monkeypatch, 10)
    files.one.append(ID, [message(2), done(3)])
    assert files.one.seize(ID) is False
    monkeypatch.undo()
    assert files.two.seize(ID) is True
    files.two.append(ID, [done(2)])
    assert log(files.one) == [message(1), message(2), done(3)]
    assert log(files.two) == [message(1), done(2)]
    assert files.one.sweep(time.time() + TTL + 60) == 1
    assert files.one._tails == {}


def fill(monkeypatch, room):
    """The disk has room for so many bytes more."""
    real = os.write
    left = [room]

    def write(fd, data):
        if not left[0]:
            raise OSError(28, "No space left on device")
        took = real(fd, data[: left[0]])
        left[0] -= took
        return took

    monkeypatch.setattr(os, "write", write)


def test_there_is_one_warning_however_many_streams_are_hit(files, monkeypatch, caplog):
    for id in (ID, OTHER):
        files.one.create(meta(files.one, id))
    fill(monkeypatch, 0)
    for id in (ID, OTHER):
        files.one.append(id, [message(1)])
    assert caplog.text.count("can't be written") == 1


def test_a_file_that_really_can_not_grow(process, files, directory):
    worker = process()
    worker.ask("create", ID)
    size = path_of(directory).stat().st_size
    worker.ask("limit", size + 100)
    for n in range(1, 20):
        worker.ask("append", ID, n, "token")
    assert worker.ask("read", ID) == "token" * 19
    assert size + 50 < path_of(directory).stat().st_size <= size + 100
    assert path_of(directory).read_bytes().endswith(b"}\n")
    assert worker.ask("limit", 10) == "limited"
    assert worker.ask("create", OTHER).startswith("Unavailable")
    worker.ask("limit", -1)
    worker.ask("end", ID, 20)
    assert [event.n for event in log(files.one)] == list(range(1, 21))
