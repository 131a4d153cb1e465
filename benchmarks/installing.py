"""Virtual environments below benchmarks/.venv, and the two C programs. Runs before anything is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
LITELLM = VENV / "litellm"
PATIENCE = 150.0  # s for installing LiteLLM, which has 130 packages


def install(folder: Path, *lists: Path, timeout: float | None = None) -> None:
    """A virtual environment with the packages of these files, made again when one of them has changed.

    Raises CalledProcessError or TimeoutExpired.
    """
    wanted = b"".join(path.read_bytes() for path in lists)
    done = folder / "requirements.txt"
    if done.exists() and done.read_bytes() == wanted:
        return
    print(f"Installing {lists[-1].relative_to(HERE.parent)} …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # What is imported is compiled then; compiling everything takes as long as installing it.
    pip = [
        str(folder / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    for path in lists:  # apart: one file with hashes would want them of all
        subprocess.run([*pip, "-r", str(path)], check=True, timeout=timeout)
    done.write_bytes(wanted)


def why_no_litellm() -> str:
    """Installs LiteLLM, in an environment of its own: it wants other versions. Says why it can't be had, if so."""
    try:
        install(LITELLM, HERE / "requirements-litellm.txt", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"pip took more than {PATIENCE:.0f} s"
    except subprocess.CalledProcessError:
        return "pip could not install it"
    return ""


def compile_programs() -> None:
    """upstream.c and load.c, with every warning an error."""
    if not shutil.which("cc"):
        raise SystemExit("benchmarks/run.py needs a C compiler: apt install gcc libc6-dev")
    for name in ("upstream", "load"):
        program, source = VENV / name, HERE / f"{name}.c"
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            options = ["-O2", "-Wall", "-Wextra", "-Werror"]
            subprocess.run(["cc", *options, "-o", str(program), str(source)], check=True)
