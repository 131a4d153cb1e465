"""What the documents say is so: settings, addresses, error codes, links, printed files."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import create_app
from millstream.errors import CODES
from millstream.metrics import Metrics
from millstream.settings import TABLES, Secret, Settings, UpstreamSettings, load
from millstream.upstreams.router import KINDS
from tests.docs import example_settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "static/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
}
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.M | re.S)


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


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = [row(setting) for setting in fields(Settings) if setting.name not in TABLES]
    table = "| setting | default | |\n|---|---|---|\n" + "\n".join(rows)
    assert table in DOCUMENTS["docs/settings.md"]


def test_the_example_file_has_every_setting_and_can_be_read() -> None:
    written = (ROOT / "deploy/millstream.example.toml").read_text("utf-8")
    assert written == example_settings.text()
    lines = [line[2:] for line in written.partition("# [upstreams")[0].splitlines() if re.match(r"# \w+ = ", line)]
    assert set(tomllib.loads("\n".join(lines))) == {setting.name for setting in fields(Settings)} - set(TABLES)


def test_every_address_is_named() -> None:
    app = create_app(Settings(store="memory:", upstreams=(UpstreamSettings("demo", "demo"),)))
    app.extensions["millstream"].streams.close()
    missing = []
    for rule in app.url_map.iter_rules():
        path = re.sub("<.*?>", "{id}", rule.rule)
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        named = any(f"{method} {path}" in DOCUMENTS["docs/http-api.md"] for method in methods)
        if not (path.startswith("/static") or named):
            missing.append(f"{sorted(methods)} {path}")
    assert missing == []


def test_every_error_code_has_a_row_with_its_status() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d, –]+) \|", DOCUMENTS["docs/http-api.md"], re.M)
    listed = {code: status for codes, status in rows for code in re.findall(r"\w+", codes)}
    said = {code: status for code, (status, _) in CODES.items()}
    assert set(listed) == set(said)
    assert {code: listed[code] for code in said if listed[code] != "–" and str(said[code]) not in listed[code]} == {}


def anchor(heading: str) -> str:
    """As Git hosts make them: lower case, no punctuation, spaces as hyphens."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_and_anchor_leads_somewhere(name: str) -> None:
    broken = []
    for link in LINK.findall(CODE_BLOCK.sub("", DOCUMENTS[name])):
        target, _, fragment = link.partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        if not path.exists():
            broken.append(link)
        elif fragment:
            there = CODE_BLOCK.sub("", path.read_text("utf-8"))
            if fragment not in map(anchor, HEADING.findall(there)):
                broken.append(link)
    assert broken == []


@pytest.mark.parametrize(
    "name", [path.name for path in sorted((ROOT / "docs/clients").glob("*.*")) if path.suffix != ".md"]
)
def test_each_client_is_printed_as_it_is(name: str) -> None:
    said = (ROOT / "docs/clients" / name).read_text("utf-8")
    assert f"\n{said}```" in DOCUMENTS["docs/clients/README.md"]


def test_the_printed_flask_application_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    [printed] = re.findall(r"^```python\n(.*?)^```", DOCUMENTS["docs/flask.md"], re.M | re.S)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    names: dict[str, Any] = {"__name__": "printed"}
    exec(printed, names)
    assert names["app"].test_client().get("/progress").text.splitlines()[9] == "step 10 of 10 done"


TOML = [
    block
    for name, text in DOCUMENTS.items()
    if name != "docs/add-an-upstream.md"
    for block in re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
]


@pytest.mark.parametrize("block", TOML)
def test_a_printed_settings_file_can_be_loaded(block: str, tmp_path: Path) -> None:
    (tmp_path / "millstream.toml").write_text(block, "utf-8")
    environ = dict.fromkeys(re.findall(r'"env:(\w+)"', block), "something")
    kinds = {upstream.kind for upstream in load(environ, tmp_path / "millstream.toml").upstreams}
    assert kinds <= set(KINDS)


def test_each_kind_of_upstream_is_printed() -> None:
    printed = set(re.findall(r'^kind = "(\w+)"', "\n".join(TOML), re.M))
    assert printed | {"demo"} == set(KINDS)


def printed(language: str) -> list[str]:
    blocks = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return [block for text in DOCUMENTS.values() for block in blocks.findall(text)]


@pytest.mark.parametrize("block", printed("json"))
def test_printed_json_can_be_read(block: str) -> None:
    try:
        json.loads(block)
    except ValueError:  # a document on each line
        assert all(json.loads(line) for line in block.splitlines())


@pytest.mark.parametrize("block", printed("yaml"))
def test_printed_yaml_can_be_read(block: str) -> None:
    assert yaml.safe_load(block)


def test_metrics_are_listed_as_they_are_and_queries_name_them() -> None:
    text = DOCUMENTS["docs/metrics.md"]
    there = {
        metric.name + "_total" * (metric.type == "counter"): metric.type
        for metric in Metrics(Settings()).registry.collect()
    }
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M)) == there
    [queries] = printed("promql")
    asked = {re.sub(r"_bucket$", "", name) for name in re.findall(r"millstream_\w+", queries)}
    assert asked and asked <= set(there)


SYMPTOMS = {
    "a 401": "401",
    "a 403 behind a proxy": "403 behind a proxy",
    "everything at once": "Everything arrives at once",
    "cuts after 60 s": "Answers are cut after 60 s",
    "502": "502 with an upstream",
    "no models": "The list of models is empty",
    "full": "503 full",
    "locked": "database is locked",
    "disk full": "Disk full",
    "no start": "It doesn't start",
}


@pytest.mark.parametrize("heading", SYMPTOMS.values(), ids=SYMPTOMS)
def test_a_symptom_is_two_clicks_from_the_index(heading: str) -> None:
    found = set()
    for page in LINK.findall(DOCUMENTS["docs/README.md"]):
        contents, _, rest = DOCUMENTS.get(f"docs/{page}", "").partition("\n## ")
        anchors = {link.removeprefix("#") for link in LINK.findall(contents)}
        found |= {title for title in HEADING.findall(f"## {rest}") if anchor(title) in anchors}
    assert [title for title in found if title.startswith(heading)]
