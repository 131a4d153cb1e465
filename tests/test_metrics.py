"""The operator's figures: what is counted, under which labels, and that docs/metrics.md says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from millstream.events import Usage
from millstream.metrics import GAPS, Metrics
from millstream.settings import KeySettings, Settings
from millstream.streams import Row

DOCS = (Path(__file__).resolve().parents[1] / "docs" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(millstream_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.M)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Settings(keys=(KeySettings("team", "0" * 64),)), ["gpt", "demo"])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    metrics.flush()
    metrics.flush()
    return metrics.registry.get_sample_value(f"millstream_{name}", labels)


def row(**changes: object) -> Row:
    values = {"id": "x", "caller": "team", "api": "chat", "model": "gpt", "upstream": "up", "created": 0.0}
    facts = {"duration": 3.0, "first_token": 0.4, "usage": Usage(5, 7), "reason": "stop"}
    return Row(**{**values, **facts, **changes})


def test_the_page_lists_exactly_what_there_is(metrics):
    listed = {
        name: (kind, tuple(filter(None, labels.strip().split(", ")))) for name, kind, labels in ROW.findall(DOCS)
    }
    there = {}
    for collector in metrics.registry._collector_to_names:
        (family,) = collector.describe()
        suffix = "_total" if family.type == "counter" else ""
        there[family.name + suffix] = (family.type, collector._labelnames)
    assert listed == there


def test_queries_in_the_page_name_metrics_that_there_are(metrics):
    asked = set(re.findall(r"millstream_\w+(?=\[)|millstream_\w+(?=\{)", DOCS))
    known = {name + end for name in re.findall(r"`(millstream_\w+)`", DOCS) for end in ("", "_bucket")}
    assert len(asked) >= 5
    assert asked <= known


@pytest.mark.parametrize(
    ("changes", "name", "labels", "expected"),
    [
        ({}, "tokens_total", {"model": "gpt", "key": "team", "kind": "prompt"}, 5),
        ({}, "tokens_total", {"model": "gpt", "key": "team", "kind": "completion"}, 7),
        ({"model": "demo?pace=9"}, "tokens_total", {"model": "demo", "key": "team", "kind": "prompt"}, 5),
        ({"model": "made up"}, "tokens_total", {"model": "other", "key": "team", "kind": "prompt"}, 5),
        ({"caller": "gone"}, "tokens_total", {"model": "gpt", "key": "other", "kind": "prompt"}, 5),
        ({}, "streams_ended_total", {"reason": "stop", "upstream": "up"}, 1),
        ({"reason": "interrupted"}, "streams_ended_total", {"reason": "interrupted", "upstream": "up"}, 1),
        ({"reason": "made up"}, "streams_ended_total", {"reason": "other", "upstream": "up"}, 1),
        ({"upstream": ""}, "duration_seconds_count", {"upstream": "other"}, 1),
        ({}, "first_token_seconds_sum", {"upstream": "up"}, 0.4),
        ({"first_token": None}, "first_token_seconds_count", {"upstream": "up"}, None),
        ({"reason": "silence_timeout"}, "upstream_errors_total", {"code": "silence_timeout", "upstream": "up"}, 1),
        ({"reason": "upstream_broke"}, "upstream_errors_total", {"code": "upstream_broke", "upstream": "up"}, None),
    ],
)
def test_an_end_is_counted(metrics, changes, name, labels, expected):
    metrics.record(row(**changes))
    assert value(metrics, name, **labels) == expected


def test_unknown_names_make_no_new_series(metrics):
    series = []
    for n in range(3):
        metrics.record(row(model=f"model-{n}", caller=f"key-{n}", reason=f"reason-{n}"))
        metrics.refused(f"code-{n}")
        metrics.failed("up", f"code-{n}")
        series.append(len(metrics.text().splitlines()))
    assert series == [series[0]] * 3


def test_gaps_are_counted_as_prometheus_would(metrics):
    gaps = [0.0, GAPS[0], 0.02, 0.0201, 0.4, 59.9, 61.0]
    for gap in gaps:
        metrics.batch("ours", 1, gap)
        metrics._gap.labels("theirs").observe(gap)
    metrics.text()
    for end in ("sum", "count"):
        name = f"gap_seconds_{end}"
        assert value(metrics, name, upstream="ours") == pytest.approx(value(metrics, name, upstream="theirs"))
    for bound in (*map(float, GAPS), "+Inf"):
        name, le = "gap_seconds_bucket", str(bound)
        assert value(metrics, name, upstream="ours", le=le) == value(metrics, name, upstream="theirs", le=le)


def test_what_comes_in_one_read_is_a_burst(metrics):
    metrics.batch("up", 1, None)
    metrics.batch("up", 4, 0.1)
    metrics.tick(0.0, [])
    found = [value(metrics, name, upstream="up") for name in ("events_total", "burst_events_total")]
    assert found == [5, 3]


def test_running_streams_are_counted_down_to_none(metrics):
    metrics.tick(0.003, ["a", "a", "b"])
    assert [value(metrics, "streams_running", upstream=name) for name in "ab"] == [2, 1]
    metrics.tick(0.0, ["b"])
    assert [value(metrics, "streams_running", upstream=name) for name in "ab"] == [0, 1]
    assert value(metrics, "loop_lag_seconds_bucket", le="0.005") == 2
