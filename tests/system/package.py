"""The package as a user gets it: the wheel, built once, and environments with it and nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).with_name("uv"))
DEADLINE = 300.0  # s


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=DEADLINE, **options
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@cache
def wheel() -> Path:
    """Built from the sdist, as uv does: so that is whole, too."""
    folder = Path(tempfile.mkdtemp(prefix="millstream-wheel-"))
    run(UV, "build", "--quiet", "--out-dir", folder, ROOT)
    (found,) = folder.glob("*.whl")
    return found


def environment(
    folder: Path, *requirements: str, python: str = sys.executable, options: tuple[str, ...] = ()
) -> Path:
    """A virtual environment with these installed; gives its folder of commands."""
    if not folder.exists():
        run(UV, "venv", "--quiet", "--python", python, folder)
    run(UV, "pip", "install", "--quiet", "--python", folder / "bin/python", *options, *requirements)
    return folder / "bin"


@cache
def installed() -> Path:
    """The folder of commands of an environment with the wheel, for tests that change nothing in it."""
    return environment(wheel().with_name("installed"), str(wheel()))


def bare_environ(**more: str) -> dict[str, str]:
    """Return this process's environment without variables that a server or Python would read."""
    ours = ("MILLSTREAM_", "OPENAI_", "ANTHROPIC_", "REDIS_", "DATABASE_URL", "PYTHON", "XDG_", "WEB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
