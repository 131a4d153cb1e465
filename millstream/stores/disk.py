"""File functions of the system, and replacements for Windows, which has no flock(2) and no pread(2), and can't
erase an open file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    import msvcrt

    POSIX = False
    FAR = 1 << 40  # on Windows a lock blocks readers, so lock a byte far behind the file's end
else:
    POSIX = True

OWN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # flags for every open()


def lock(fd: int, *, wait: bool = False) -> bool:
    """Try to lock without blocking; True on success. The lock ends when the file is closed, however its owner
    dies."""
    try:
        if POSIX:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        else:
            os.lseek(fd, FAR, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if POSIX and not isinstance(error, BlockingIOError):
            raise
        return False
    return True


def pread(fd: int, size: int, position: int) -> bytes:
    if POSIX:
        return os.pread(fd, size, position)
    os.lseek(fd, position, os.SEEK_SET)
    return os.read(fd, size)


def erase(path: Path, fd: int | None = None) -> None:
    """Erase a file; `fd` is ours, and closed. What others have open Windows keeps until the next sweep."""
    if POSIX:
        path.unlink(missing_ok=True)
    if fd is not None:
        os.close(fd)
    if not POSIX:
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
