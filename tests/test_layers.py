"""The house's own rules: imports point down, files stay small."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted(ROOT.glob("millstream/**/*.py"))
LONGEST = 300  # lines; most files have less than 120


def test_imports_point_down() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*ROOT.glob("*.py"), *PACKAGE], ids=str)
def test_no_file_outgrows_its_idea(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


def test_one_prompts_way_opens_the_files_that_are_listed() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    count, listed = re.search(r"open these (\d+) files:\n\n((?:\d+\. .*\n)+)", text).groups()
    found, folder = [], Path()
    for name in re.findall(r"`([\w/]+\.py)`", listed):
        folder = Path(name).parent if "/" in name or name == "responses.py" else folder
        found.append(ROOT / "millstream" / folder / Path(name).name)
    assert [path for path in found if not path.is_file()] == []
    assert len(set(found)) == int(count) <= 30


COMPARED = re.compile(
    r"^(?!.*\bfor\b).*(?:\b(?:api|dialect) (?:==|!=|in|not in) |(?:==|!=) [\w.]*\b(?:api|dialect)\b)"
)


def test_dialects_are_told_apart_in_one_place_alone() -> None:
    """A question is asked which dialect it is in; all else is a property in a dialect's line of the table."""
    lines = [line for path in PACKAGE for line in path.read_text("utf-8").splitlines()]
    assert [line.strip() for line in lines if COMPARED.match(line)] == ["return self.dialect in dialects"]


# As they are written, since we have parts of these names ourselves.
PRIVATE = (', "_sock"', "_socket._sock", "do_read", "handle_hup", "._buckets")


@pytest.mark.parametrize("private", PRIVATE)
def test_each_private_part_of_others_is_used_in_the_one_file_that_is_listed(private: str) -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Private parts of others")[2].split("## ")[0]
    name = re.findall(r"\w+", private)[-1]
    (listed,) = {re.findall(r"`([^`]+)`", row)[-1] for row in table.splitlines() if name in row}
    used = {path for path in [*ROOT.glob("*.py"), *PACKAGE] if private in path.read_text("utf-8")}
    assert {str(path.relative_to(ROOT)).removeprefix("millstream/") for path in used} == {listed}
