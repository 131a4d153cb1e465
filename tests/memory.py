"""Where the files of a test take no disk's time."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import disk_usage

MEMORY = Path("/dev/shm")


def memory() -> Path | None:
    """A folder in memory, if there is one with room; for tempfile's `dir`."""
    roomy = os.access(MEMORY, os.W_OK) and disk_usage(MEMORY).free > 1 << 30
    return MEMORY if roomy else None
