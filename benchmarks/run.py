"""Compares Millstream with other relays, in one run on one machine: `python benchmarks/run.py [--quick]`.

Needs Linux with two cores, a C compiler and nginx. Each relay has one core, the emulated upstream and the client have
another; relays take turns, and the medians of the rounds count. Only ratios within one table mean anything elsewhere.
Writes benchmarks/RESULTS.md and the plots beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"


def set_up() -> None:
    """The contenders in a virtual environment of their own, and the two C programs."""
    lists = [HERE / "requirements.txt", HERE.parent / "requirements.txt"]
    wanted = b"".join(path.read_bytes() for path in lists)
    done = VENV / "requirements.txt"
    if not done.exists() or done.read_bytes() != wanted:
        print("Installing benchmarks/requirements.txt …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(lists[0])], check=True)
        done.write_bytes(wanted)
    for name in ("upstream", "load"):
        program, source = VENV / name, HERE / f"{name}.c"
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)


if __name__ == "__main__":
    if Path(sys.prefix) != VENV:
        set_up()
        os.execv(VENV / "bin/python", [str(VENV / "bin/python"), str(HERE / "comparison.py"), *sys.argv[1:]])
