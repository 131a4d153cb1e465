"""A directory of this user alone."""

from __future__ import annotations

import os
from pathlib import Path

from millstream.settings import SettingError


def private(directory: Path) -> None:
    """Makes the directory, parents too, and sees that nobody else can enter it. Raises SettingError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise SettingError(f"MILLSTREAM_STORE: {directory} can't be used: {error.strerror}") from error
    if not hasattr(os, "getuid"):  # Windows: a folder's rights are those of the folder that it is in
        return
    if found.st_uid != os.getuid():
        raise SettingError(f"MILLSTREAM_STORE: {directory} belongs to another user; choose another directory")
    if found.st_mode & 0o077:
        raise SettingError(
            f"MILLSTREAM_STORE: {directory} is open to other users (mode {found.st_mode & 0o777:o});"
            f" run: chmod 700 {directory}"
        )
