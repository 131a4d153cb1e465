"""From what clients saw to findings: each symptom alone, and none where there is none."""

from __future__ import annotations

import time

import pytest

from millstream.doctor.advice import advice
from millstream.doctor.diagnosis import diagnose, server_of
from millstream.doctor.marks import Plan
from millstream.doctor.probe import Clock, Probe
from millstream.formats.table import FORMATS
from millstream.responses import STREAMED

PLAN = Plan()


def probe(format: str = "sse", plan: Plan = PLAN, **changes: object) -> Probe:
    """One that saw nothing wrong, but for the changes."""
    headers = {name.lower(): value for name, value in STREAMED.items()}
    headers |= {"content-type": FORMATS[format].CONTENT_TYPE}
    headers |= {"millstream-doctor": "HTTP/1.1 last-event-id idempotency-key accept"}
    marks = {n: plan.due(n) + 0.004 for n in range(plan.last() + 1)}
    found = Probe(plan, format, "1.1", 200, headers, b"", marks, max(marks.values()) + 0.1, True)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def with_headers(**changes: str) -> dict[str, str]:
    return {**probe().headers, **{name.replace("_", "-"): value for name, value in changes.items()}}


QUIET = Plan(number=2, silence=60)
END = PLAN.due(PLAN.last())


@pytest.mark.parametrize(
    ("changes", "symptom", "words"),
    [
        ({"status": 0, "error": "refused", "marks": {}}, "unreachable", "refused"),
        ({"status": 502, "body": b"<h1>Bad  Gateway</h1>", "marks": {}}, "refused", "status 502, Bad Gateway"),
        ({"status": 403, "body": b'{"error":{"message":"Set X."}}', "marks": {}}, "refused", "status 403, Set X"),
        ({"marks": dict.fromkeys(range(16), END)}, "held", "the first mark came 2 s late"),
        ({"marks": {}}, "held", "no mark came at all"),
        ({"marks": {n: PLAN.due(n - n % 4 + 3) for n in range(16)}}, "bursts", "16 marks came in 4 pieces"),
        ({"headers": with_headers(content_encoding="gzip")}, "compressed", "Content-Encoding is gzip"),
        ({"headers": with_headers(millstream_doctor="HTTP/1.0 last-event-id idempotency-key accept")}, "http10", ""),
        ({"plan": QUIET, "marks": {0: 0.8, 1: 0.95}, "ended": 31.0, "whole": False}, "cut", "after 30 s without"),
        ({"marks": {n: PLAN.due(n) for n in range(9)}, "whole": False}, "broken", "before the last mark"),
        ({"headers": with_headers(cache_control="no-store")}, "headers", "lost are Cache-Control"),
        ({"headers": with_headers(incremental="")}, "headers", "lost are Incremental"),
        ({"headers": with_headers(millstream_doctor="HTTP/1.1 idempotency-key accept")}, "headers", "last-event-id"),
        ({"headers": with_headers(content_type="text/html")}, "type", "Content-Type is text/html and not text/event"),
    ],
)
def test_each_symptom_is_told_alone(changes, symptom, words):
    (finding,) = diagnose([probe(), probe(**changes)])
    assert (finding.symptom, words in finding.says) == (symptom, True), finding
    assert "sse over HTTP/1.1" in finding.says


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"headers": with_headers(vary="Accept, Accept-Encoding")},
        {"headers": with_headers(cache_control="no-transform, no-store")},
        {"marks": {n: PLAN.due(n) + 0.5 for n in range(16)}},  # a long way is no slow one
        {"marks": {n: max(PLAN.due(n), 1.7) for n in range(16)}},  # the machine stood still for a moment
        {"marks": {n: max(PLAN.due(n), 2.6) for n in range(16)}, "asked": 2.5},  # even before it had asked
        {
            "version": "1.0",
            "headers": with_headers(millstream_doctor="HTTP/1.0 last-event-id idempotency-key accept"),
        },
    ],
)
def test_nothing_is_said_of_what_works(changes):
    assert diagnose([probe(**changes)]) == []


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"server": "nginx/1.22.1"}, "proxy_buffering off;"),
        ({"server": "Apache/2.4.71 (Debian) Phusion_Passenger/6.0.17"}, "PassengerBufferResponse off"),
        ({"server": "nginx", "x_powered_by": "Phusion Passenger(R) 6.0.17"}, "passenger_buffer_response off;"),
    ],
)
def test_the_one_who_collects_gets_the_lines(headers, says):
    (lines,) = advice("held", server_of([probe(headers=with_headers(**headers))])).values()
    assert says in lines


def test_ways_with_the_same_symptom_are_told_in_one_sentence():
    (finding,) = diagnose([probe("text", marks={}), probe("html", marks={}), probe("ndjson")])
    assert finding.says == "Held back until the end: no mark came at all (text, html over HTTP/1.1)."


def test_ways_of_several_versions_are_told_by_version():
    wrong = [
        probe("sse", version="2", marks={}),
        probe("text", marks={}),
        probe("sse", version="2", plan=QUIET, marks={}),
    ]
    (finding,) = diagnose([*wrong, probe("ndjson")])
    assert finding.says.endswith("(sse, idle sse over HTTP/2; text over HTTP/1.1).")


def test_a_mark_cut_in_two_counts_when_it_is_whole():
    seen = Probe(PLAN, "sse", "1.1")
    clock = Clock(seen, time.monotonic())
    clock.feed(b'data: {"text":"mark 1')
    assert seen.marks == {}
    clock.feed(b'2;\\n"}\n')
    assert list(seen.marks) == [12]
