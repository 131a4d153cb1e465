"""The file store's own promises: what is on the disk, and what a killed worker leaves there."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

import gevent
import pytest

from millstream.errors import NotFound
from millstream.settings import SettingError
from millstream.stores import spares
from millstream.stores.file import FileStore
from millstream.stores.spares import LEAST
from tests.stores.samples import ID, TTL, abandoned, done, log, message, meta, path_of, until


def test_only_this_user_can_read_what_is_stored(files, directory):
    files.one.create(meta(files.one, claim="key"))
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [directory, *directory.rglob("*")]}
    assert modes.pop(directory) == modes.pop(directory / "claims") == 0o700
    assert {mode for path, mode in modes.items() if not path.is_symlink()} == {0o600}
    assert len(modes) == 5  # the log, a socket for each worker, the claim and its lock


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o704, 0o777])
def test_a_directory_open_to_others_is_refused(directory, mode):
    directory.mkdir(parents=True)
    directory.chmod(mode)
    with pytest.raises(SettingError, match=f"mode {mode:o}.*chmod 700"):
        FileStore(directory, TTL)


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="can't be used"):
        FileStore(tmp_path / "file", TTL)


def test_a_directory_of_somebody_else_is_refused(directory, monkeypatch):
    FileStore(directory, TTL)
    monkeypatch.setattr(os, "getuid", lambda: directory.stat().st_uid + 1)
    with pytest.raises(SettingError, match="belongs to another user"):
        FileStore(directory, TTL)


def test_a_relative_directory_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = FileStore(Path("streams"), TTL)
    monkeypatch.chdir("/")
    store.create(meta(store))
    assert path_of(tmp_path / "streams").exists()
    store.close()


@pytest.mark.parametrize("cleared", [False, True])
def test_a_stream_takes_a_file_that_was_made_before(files, directory, monkeypatch, cleared):
    until(lambda: len(list(directory.glob(f"{files.one.worker}-*.spare"))) == LEAST)
    made, opened = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *how: made.append(path) or opened(path, *how))
    for spare in directory.glob("*.spare") if cleared else ():
        spare.unlink()
    files.one.create(meta(files.one))
    logs = [path for path in made if str(path).endswith(".log")]  # a thread goes on making spare ones
    assert logs == ([str(path_of(directory.resolve()))] if cleared else [])
    files.one.append(ID, [message(1)])
    assert log(files.two) == [message(1)]
    assert files.two.seize(ID) is False


def test_what_is_taken_at_once_is_there_the_next_time(files, directory):
    for n in range(3 * LEAST):
        files.one.create(meta(files.one, f"{n:022d}"))
    until(lambda: len(list(directory.glob(f"{files.one.worker}-*.spare"))) == 6 * LEAST)
    files.one.close()
    assert not list(directory.glob(f"{files.one.worker}*"))


def test_closing_waits_for_a_file_that_is_being_made(tmp_path, monkeypatch):
    made, make = threading.Event(), spares._make

    def slowly(path):
        fd = make(path)
        made.set()
        time.sleep(0.3)
        return fd

    monkeypatch.setattr(spares, "_make", slowly)
    several = spares.Spares(f"{tmp_path}/w")
    thread = threading.Thread(target=several._fill)
    thread.start()
    assert made.wait(30)
    several.close()
    assert not list(tmp_path.iterdir())
    thread.join()
    assert not list(tmp_path.iterdir())


def test_a_log_is_a_version_byte_and_json_lines(files, directory):
    files.one.create(meta(files.one))
    position = files.one.append(ID, [message(1, "a\nb"), done(2)])
    data = path_of(directory).read_bytes()
    assert data.startswith(b'1{"id":"')
    assert data.count(b"\n") == 3
    assert len(data) == position


def test_a_log_of_an_unknown_version_is_not_found_and_warned_of(files, directory, caplog):
    path = abandoned(directory, [[message(1)]])
    path.write_bytes(b"2" + path.read_bytes()[1:])
    reader = files.one.reader(ID)
    for ask in (reader.read, lambda: files.one.meta(ID), lambda: files.one.watch(ID, lambda: None)):
        with pytest.raises(NotFound):
            ask()
    assert files.one.seize(ID) is False
    assert "unknown version b'2'" in caplog.text


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_a_log_whose_worker_was_killed_while_making_it_is_not_found(files, directory, kept):
    path = abandoned(directory, [])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NotFound):
        files.one.meta(ID)
    with pytest.raises(NotFound):
        files.one.reader(ID).read()
    assert files.one.seize(ID) is False


def test_a_last_line_torn_at_any_byte_is_cut_by_the_one_who_seizes(files, directory):
    path = abandoned(directory, [[message(1)], [message(2, "é🜚\n")]])
    whole = path.read_bytes()
    first = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert log(files.one) == [message(1)]
        assert files.one.seize(ID) is True
        assert path.read_bytes() == whole[:first]
        files.one.append(ID, [done(2)])
        assert log(files.two) == [message(1), done(2)]


def test_a_reader_takes_up_a_torn_line_when_its_rest_has_come(files, directory):
    path = abandoned(directory, [[message(1)], [message(2)]])
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    reader = files.one.reader(ID)
    assert reader.read() == [message(1)]
    path.write_bytes(whole)
    assert reader.read() == [message(2)]
    reader.close()


@pytest.mark.parametrize("damage", [b"{broken", b"\0\0\0", b'{"text":"\xff"}', b'{"n":"two"}', b"[]"])
def test_a_broken_line_ends_the_reading_as_lost(files, directory, damage):
    path = abandoned(directory, [[message(1)], [message(2)], [message(3), done(4)]])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damage + b"\n", *lines[3:]]))
    events = log(files.one)
    assert events[0] == message(1)
    assert [(event.type, event.n) for event in events[1:]] == [("failed", 2)]
    assert events[1].end.failure.code == "lost"


def test_a_log_with_a_broken_line_is_seized_up_to_it(files, directory):
    path = abandoned(directory, [[message(1)], [message(2)], [done(3)]])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"broken\n", *lines[3:]]))
    assert files.one.seize(ID) is True
    files.one.append(ID, [done(2)])
    assert log(files.two) == [message(1), done(2)]


def test_an_ended_stream_can_not_be_seized(files, directory):
    abandoned(directory, [[message(1), done(2)]])
    assert files.one.seize(ID) is False
    assert log(files.one) == [message(1), done(2)]


def test_an_abandoned_stream_is_seized_once(files, directory):
    abandoned(directory, [[message(1)]])
    tries = [gevent.spawn(store.seize, ID) for _ in range(20) for store in (files.one, files.two)]
    gevent.joinall(tries, raise_error=True)
    assert [each.value for each in tries].count(True) == 1


def test_a_log_erased_between_its_opening_and_its_lock_is_neither_seized_nor_swept(files, directory, monkeypatch):
    path = abandoned(directory, [[message(1)]])
    data, real = path.read_bytes(), os.open

    def erased_behind_open(name, *rest, **more):
        fd = real(name, *rest, **more)
        path.unlink(missing_ok=True)
        return fd

    monkeypatch.setattr(os, "open", erased_behind_open)
    assert files.one.seize(ID) is False
    path.write_bytes(data)
    assert files.one.sweep(time.time() + TTL + 60) == 0


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_many_running_streams_fit_and_leave_no_descriptor_behind(files):
    before = open_descriptors()
    ids = [f"{n:022d}" for n in range(500)]
    for id in ids:
        files.one.create(meta(files.one, id))
        files.one.append(id, [message(1)])
    assert open_descriptors() == before + 500  # one each
    for id in ids:
        files.one.append(id, [done(2)])
        assert len(log(files.two, id)) == 2
    assert open_descriptors() == before


def test_a_directory_too_long_for_a_socket_has_them_elsewhere(tmp_path):
    directory = tmp_path / ("long" * 30) / "streams"
    one, two = FileStore(directory, TTL), FileStore(directory, TTL)
    said, woken = [], []
    one.start(lambda *words: said.append(words))
    two.start(lambda *words: None)
    one.create(meta(one))
    two.watch(ID, lambda: woken.append(True))
    until(lambda: said == [(two.worker, ID, "join")] and woken)
    elsewhere = Path(os.fsdecode(one._bell._address(one.worker))).parent
    assert elsewhere.parent == Path(tempfile.gettempdir())
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    one.close()
    two.close()
    assert list(elsewhere.iterdir()) == []
    elsewhere.rmdir()


def test_a_place_for_sockets_that_somebody_else_prepared_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    store = FileStore(tmp_path / ("long" * 30), TTL)
    monkeypatch.setattr("millstream.stores.doorbell.SUN_PATH", 10)
    with pytest.raises(SettingError, match="too long"):
        store.start(lambda *words: None)
    (made,) = (tmp_path / "tmp").iterdir()
    made.rmdir()
    made.symlink_to(tmp_path / "trap")
    with pytest.raises(SettingError, match="open to other users"):
        store.start(lambda *words: None)


def test_rubbish_on_the_socket_is_ignored(files, directory):
    files.one.create(meta(files.one))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for said in (
            b"",
            b" ",
            b"\xff\0",
            b"news",
            b"join ../../x " + ID.encode(),
            b"what 1-00000000 x",
            b"x" * 60000,
        ):
            stranger.sendto(said, str(directory / f"{files.one.worker}.sock"))
    files.two.tell(ID, "stop")
    until(lambda: files.said == [(files.two.worker, ID, "stop")])


def test_a_store_made_before_the_fork_is_a_worker_of_its_own(directory):
    store = FileStore(directory, TTL)
    store.worker = "1-00000000"
    store.start(lambda *words: None)
    assert store.worker.startswith(f"{os.getpid()}-")
    store.close()


def test_closing_leaves_running_streams_to_others(files, directory):
    files.one.create(meta(files.one))
    files.one.append(ID, [message(1)])
    files.one.close()
    assert not (directory / f"{files.one.worker}.sock").exists()
    assert files.two.seize(ID) is True


@pytest.mark.parametrize("after", [0, 1, 777, 19_998, 19_999])
def test_who_resumes_in_a_long_log_reads_little_of_it(files, directory, monkeypatch, after):
    files.one.create(meta(files.one))
    files.one.append(ID, [message(n, "x" * (n % 97 + 4000 * (n % 1001 == 0))) for n in range(1, 20_001)])
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: read.append(data := pread(fd, size, at)) or data)
    assert files.two.reader(ID, after).read(1000)[0].n == after + 1
    assert sum(map(len, read)) < path_of(directory).stat().st_size / 10
