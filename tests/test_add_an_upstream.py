"""The tutorial's code, put where it says into a copy of this house, passes the house's tests and checks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.system  # for its time, and the other programs it runs

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/add-an-upstream.md").read_text("utf-8")
# Each block of code, and the last file that was named before it.
BLOCKS = [
    (re.findall(r"`([\w/]+\.py)`:", PAGE[: match.start()])[-1:], match[1], match[2])
    for match in re.finditer(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
]
COPIED = (
    "app.py",
    "pyproject.toml",
    "millstream",
    "tests/__init__.py",
    "tests/calling.py",
    "tests/upstreams",
    "tests/wire",
)

# Run in the copy.
MADE = """
from millstream.settings import load
from millstream.upstreams.router import Router

print(Router(load({})).find("qwen3").name)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for named, language, text in BLOCKS:
        if language == "python":
            (folder / named[0]).write_text(text, "utf-8")
        elif language == "diff":
            change(folder / named[0], text.splitlines(keepends=True))
    return folder


def change(path: Path, lines: list[str]) -> None:
    old = "".join(line[1:] for line in lines if line[0] == " ")
    new = "".join(line[1:] for line in lines)
    text = path.read_text("utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), "utf-8")


def run(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_page_has_all_its_parts():
    languages = [language for _, language, _ in BLOCKS]
    assert languages == ["json", "python", "python", "diff", "diff", "python", "diff", "console", "toml"]


def test_the_tutorials_tests_pass_and_so_does_the_contract(house):
    tests = ["tests/upstreams/test_tgi.py", "tests/upstreams/test_contract.py"]
    said = run(house, "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "tgi or greenlet")
    assert int(re.findall(r"(\d+) passed", said)[0]) > 200


def test_the_tutorials_code_is_in_the_houses_style(house):
    files = {named[0] for named, language, _ in BLOCKS if language in ("python", "diff")}
    run(house, "ruff", "check", "--no-cache", *files)
    run(house, "ruff", "format", "--no-cache", "--check", *files)


def test_the_tutorials_code_has_right_types(house):
    with suppress(shutil.Error, FileNotFoundError):  # what scripts/check has found of other files, or finds just now
        shutil.copytree(ROOT / ".mypy_cache", house / ".mypy_cache")
    run(house, "mypy", "millstream/upstreams/tgi.py", "millstream/upstreams/router.py")


def test_the_tutorials_settings_make_an_upstream(house):
    (house / "millstream.toml").write_text(BLOCKS[-1][2], "utf-8")
    (house / "made.py").write_text(MADE, "utf-8")
    assert run(house, "made") == "tgi\n"
