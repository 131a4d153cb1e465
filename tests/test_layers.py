"""The house's own rules: imports point down, files stay small."""

from __future__ import annotations

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
