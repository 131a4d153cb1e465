"""The page's scripts: ES5 for every browser, and small files."""

from __future__ import annotations

import subprocess

import pytest

from tests.system.nginx import ROOT

NODE = ROOT / "tests/node"
SCRIPTS = sorted((ROOT / "static/page").glob("*.js"))


@pytest.mark.system
def test_they_are_es5_and_clean() -> None:
    eslint = [NODE / "node_modules/.bin/eslint", "--config", NODE / "eslint.page.js", *SCRIPTS]
    found = subprocess.run(eslint, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_each_has_one_noun_and_few_lines() -> None:
    lines = {script.name: len(script.read_text("utf-8").splitlines()) for script in SCRIPTS}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert len(SCRIPTS) > 20


def test_they_make_no_html_from_text() -> None:
    """The page's policy would stop it; old browsers know no policy."""
    for script in SCRIPTS:
        text = script.read_text("utf-8")
        assert not [word for word in ("innerHTML", "insertAdjacent", "document.write", "eval(") if word in text], (
            script
        )
