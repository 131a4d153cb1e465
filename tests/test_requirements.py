"""What is pinned, and the ranges that it is made from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILES = {"requirements.txt": "", "requirements-dev.txt": "dev", "requirements-local.txt": "local"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def pins(text: str) -> dict[str, set[str]]:
    """The versions of each name: more than one where Pythons or platforms differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("file", FILES)
def test_each_pin_is_within_its_range_and_has_hashes(file: str) -> None:
    ranges = PROJECT["dependency-groups"].get(FILES[file], [])
    ranges = ranges if file == "requirements-local.txt" else [*PROJECT["project"]["dependencies"], *ranges]
    text = (ROOT / file).read_text("utf-8")
    found = pins(text)
    for wanted in map(Requirement, ranges):
        versions = found[canonicalize_name(wanted.name)]
        assert all(wanted.specifier.contains(version) for version in versions), wanted
    lines = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
    assert lines and all(line.endswith("\\") for line in lines)  # hashes come below


def test_tests_run_with_what_serves() -> None:
    served, tested = (pins((ROOT / file).read_text("utf-8")) for file in list(FILES)[:2])
    assert served.items() <= tested.items()


@pytest.mark.system
def test_pinning_again_changes_nothing(tmp_path: Path) -> None:
    for name in (*FILES, "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    # The environment is ours: it may hold what another branch has installed.
    script = "sed -i /^pip_install/d scripts/pin; exec scripts/pin"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert pins((tmp_path / name).read_text("utf-8")) == pins((ROOT / name).read_text("utf-8"))


@pytest.mark.system  # for its time
def test_the_list_of_parts_is_valid_and_has_every_pin() -> None:
    from cyclonedx.schema import SchemaVersion  # here: it takes a second, in each process that only reads the tests
    from cyclonedx.validation.json import JsonStrictValidator

    command = [sys.executable, str(ROOT / "scripts/parts.py")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    for name, versions in pins((ROOT / "requirements.txt").read_text("utf-8")).items():
        assert all(f'"pkg:pypi/{name}@{version}"' in text for version in versions), name
    assert '"pkg:npm/markdown-it@' in text and '"pkg:npm/%40highlightjs/cdn-assets@' in text
