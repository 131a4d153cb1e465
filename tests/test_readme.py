"""What the README says is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from app import create_app
from millstream.settings import TABLES, Secret, Settings, UpstreamSettings, load
from millstream.upstreams.router import KINDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def row(setting) -> str:
    default, unit = setting.default, setting.metadata["unit"]
    if isinstance(default, Secret):
        shown = default.reveal()
    elif isinstance(default, tuple):
        shown = ", ".join(default)
    elif isinstance(default, bool):
        shown = str(int(default))
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"| `{setting.name}` | {shown or '–'}{f' {unit}' if unit else ''} | {setting.metadata['says']} |"


def test_every_setting_stands_in_the_table_with_its_default():
    rows = [row(setting) for setting in fields(Settings) if setting.name not in TABLES]
    table = "| setting | default | |\n|---|---|---|\n" + "\n".join(rows)
    assert table in README


@pytest.mark.parametrize("name", ["eventsource.html", "xhr.html"])
def test_the_printed_pages_are_the_examples(name):
    assert f"```html\n{(ROOT / 'examples' / name).read_text('utf-8')}```" in README


def test_every_address_is_named():
    app = create_app(Settings(store="memory:", upstreams=(UpstreamSettings("demo", "demo"),)))
    app.extensions["millstream"].streams.close()
    for rule in app.url_map.iter_rules():
        path = re.sub("<.*?>", "{id}", rule.rule)
        if not path.startswith("/static"):
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            assert any(f"{method} {path}" in README for method in methods), path


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", README))))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()


TOML = re.findall(r"^```toml\n(.*?)^```", README, re.M | re.S)


@pytest.mark.parametrize("block", TOML)
def test_a_printed_settings_file_can_be_loaded(block, tmp_path):
    (tmp_path / "millstream.toml").write_text(block, "utf-8")
    environ = dict.fromkeys(re.findall(r'"env:(\w+)"', block), "something")
    kinds = {upstream.kind for upstream in load(environ, tmp_path / "millstream.toml").upstreams}
    assert kinds <= set(KINDS)


def test_each_kind_of_upstream_is_printed():
    printed = set(re.findall(r'^kind = "(\w+)"', "\n".join(TOML), re.M))
    assert printed | {"demo"} == set(KINDS)
