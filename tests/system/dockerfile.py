"""Follows a Dockerfile with no container engine: its steps run in a folder, with an environment for its Python.

What a step does to the system goes elsewhere: `useradd` into the folder, pip into the environment, from pip's cache.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHON = "/usr/bin/python3"  # Debian's: the image's user can't enter the home where another one may be
DEADLINE = 300.0  # s
TOOLS = {
    "pip": 'for word do shift; [ "$word" = --no-cache-dir ] || set -- "$@" "$word"; done\n'
    f'exec {sys.executable} -m pip --python {{python}} "$@"',
    "useradd": 'exec /usr/sbin/useradd --prefix {place} "$@"',
}


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of a word and what stands behind it. https://docs.docker.com/reference/dockerfile/"""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def copied(text: str) -> list[tuple[str, str]]:
    """Return the COPY lines as pairs: a name in the project and one in the image."""
    pairs = []
    for word, rest in instructions(text):
        if word == "COPY":
            *sources, place = rest.split()
            pairs += [(source, source if place == "./" else place) for source in sources]
    return pairs


class Image:
    """The result of a Dockerfile. `folder` is its WORKDIR, `command` its CMD, `check` its HEALTHCHECK. Run them as
    user `uid` with `environ`. `passwd` has the users. Needs root."""

    def __init__(self, text: str, project: Path, place: Path) -> None:
        self._project, self._place = project, place
        self.folder = place / "workdir"
        self.passwd = place / "etc/passwd"
        self.environ = {"PATH": f"{place}/tools:{place}/python/bin:/usr/bin:/bin"}
        self.command: list[str] = []
        self.check: list[str] = []
        self.uid = 0
        self._furnish()
        for word, rest in instructions(text):
            getattr(self, f"_{word.lower()}")(rest)

    def _furnish(self) -> None:
        for folder in (self.folder, self.passwd.parent, self._place / "tools"):
            folder.mkdir()
        for name in ("passwd", "group", "shadow", "gshadow"):
            (self.passwd.parent / name).touch()
        run([PYTHON, "-m", "venv", "--without-pip", str(self._place / "python")])
        for name, script in TOOLS.items():
            tool = self._place / "tools" / name
            tool.write_text(
                "#!/bin/sh\n" + script.format(python=f"{self._place}/python/bin/python", place=self._place)
            )
            tool.chmod(0o755)

    def _run(self, rest: str) -> None:
        # Compiling is for images that are kept.
        run(["sh", "-ec", rest], cwd=self.folder, env={**self.environ, "PIP_NO_COMPILE": "1"})

    def _copy(self, rest: str) -> None:
        for source, place in copied(f"COPY {rest}"):
            path = self._project / source
            if path.is_dir():
                shutil.copytree(path, self.folder / place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, self.folder / place)

    def _workdir(self, rest: str) -> None:
        self._inside = rest

    def _env(self, rest: str) -> None:
        self.environ |= dict(pair.replace(self._inside, str(self.folder)).split("=", 1) for pair in rest.split())

    _arg = _env

    def _user(self, rest: str) -> None:
        self.uid = int(rest)

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)

    def _healthcheck(self, rest: str) -> None:
        self.check = json.loads(rest.partition("CMD ")[2])

    def _told(self, rest: str) -> None:
        """Ignore the line."""

    _from = _expose = _volume = _told


def run(command: list[str], **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
