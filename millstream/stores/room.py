"""Limit the disk space of the logs in a directory, and choose which logs to erase first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, time

from millstream.stores.disk import OWN, erase, lock
from millstream.stores.turns import in_turns

RESERVE = 64 << 20  # bytes to leave free on the disk, at most 5 % of it
ENOUGH = 0.8  # share of the limit that remains after erasing
FRESH = 10.0  # s to keep a log after its last sign of life: its worker may not yet count as dead
PAUSE = 5.0  # s between two looks
AHEAD = 5.0  # s that a file may be newer than now: a network disk has its own clock
PROBE = 4096  # bytes to write, to test whether the disk has room again


def files(directory: Path, suffix: str) -> Iterator[os.DirEntry[str]]:
    """Yield the files in turns. A file may be gone when it is yielded."""
    with os.scandir(directory) as found:
        for entry in in_turns(found):
            if entry.name.endswith(suffix):
                yield entry


def expired(path: Path, since: float, remove: bool = False) -> bool:
    """Return True if its last sign of life is older than `since`, in Unix time, and nobody owns it."""
    try:
        if path.stat().st_mtime >= since:
            return False
        fd = os.open(path, os.O_RDWR | OWN)
    except OSError:
        return False
    old = False
    try:
        # Look again with the lock held: another worker may just have seized, ended or erased the log.
        old = lock(fd) and os.fstat(fd).st_mtime < since and os.fstat(fd).st_nlink > 0
    finally:
        if old and remove:
            erase(path, fd)
        else:
            os.close(fd)
    return old


def not_later(entry: os.DirEntry[str], now: float) -> None:
    """The clock was set back since this file's last sign: it lives on for as long as any other, and not for that step
    more."""
    with suppress(OSError):
        if entry.stat(follow_symlinks=False).st_mtime > now + AHEAD:
            os.utime(entry.path, (now, now), follow_symlinks=False)


class Room:
    """`limit` is in bytes, 0 for as much as the disk has; where the disk has less, less. `erase(path, since)` erases
    a log that has ended before `since`, in Unix time, and gives whether it did."""

    def __init__(self, directory: Path, limit: int, erase: Callable[[Path, float], bool]) -> None:
        self._directory = directory
        self._limit = limit or inf
        self._erase = erase
        self._left = inf  # bytes until it is full
        self._again = 0.0  # so many left, and it is looked again: others have added, too
        self._looked = 0.0
        self._refused = False

    @property
    def full(self) -> bool:
        self._refused = self._refused and not self._takes()
        return self._refused or self._left <= 0

    def refuse(self) -> None:
        """The disk took less than it was given: it is full, a quota is reached, or it is read-only."""
        self._refused = True

    def _takes(self) -> bool:
        probe = self._directory / f".probe-{os.getpid()}"
        try:
            with probe.open("wb", 0) as file:
                return os.write(file.fileno(), bytes(PROBE)) == PROBE
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink()

    @property
    def crowded(self) -> bool:
        return self._left <= self._again and monotonic() - self._looked > PAUSE

    def add(self, size: int) -> None:
        self._left -= size

    def look(self) -> None:
        """Adds up what all logs take. Where that is too much, those go that have ended, the oldest first."""
        self._looked = monotonic()
        logs: list[tuple[float, int, str]] = []
        for entry in files(self._directory, ".log"):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # erased meanwhile
            logs.append((status.st_mtime, status.st_size, entry.path))
        used = sum(size for _, size, _ in logs)
        disk = shutil.disk_usage(self._directory)
        free = disk.free - min(RESERVE, disk.total // 20)
        most = min(self._limit, max(0, used + free))
        if used > (1 + ENOUGH) / 2 * most:
            since = time() - FRESH
            for _, size, path in in_turns(sorted(logs)):
                if used <= ENOUGH * most:
                    break
                used -= size * self._erase(Path(path), since)
        self._left = most - used
        self._again = self._left / 2
