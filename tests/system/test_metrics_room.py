"""Where workers count: gone when they are, however they ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from millstream.metrics_room import PREFIX, Room
from tests.system.server import DEADLINE, Server

pytestmark = pytest.mark.system


def opened_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_master_that_ends_leaves_no_folder(number: int) -> None:
    with Server(workers=2) as server:
        [*open_files] = psutil.Process(server.worker_pids()[0]).open_files()
        room = next(Path(one.path).parent for one in open_files if Path(one.path).parent.name.startswith(PREFIX))
        server.process.send_signal(number)
        server.process.wait(DEADLINE)
        until = time.monotonic() + DEADLINE
        while room.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert not room.exists()


def test_the_next_master_removes_what_was_killed_as_a_whole_and_nothing_else(tmp_path: Path) -> None:
    stale, foreign = tmp_path / f"{PREFIX}stale", tmp_path / f"{PREFIX}foreign"
    stale.mkdir()
    (stale / "lock").touch()
    foreign.mkdir()  # of an older version, perhaps at work
    first = Room(str(tmp_path))
    second = Room(str(tmp_path))
    assert opened_in(tmp_path) == sorted([foreign, first.path, second.path])
    first.leave()
    assert opened_in(tmp_path) == sorted([foreign, second.path])
    second.leave()


def test_the_last_one_to_leave_removes_it(tmp_path: Path) -> None:
    room = Room(str(tmp_path))
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        room.join()
        os.close(writing)
        os.read(reading, 1)
        room.leave()
        os._exit(0)
    os.close(reading)
    room.leave()
    assert room.path.exists()
    os.close(writing)
    os.waitpid(pid, 0)
    assert not room.path.exists()
