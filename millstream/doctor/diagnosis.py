"""Find out what is wrong with the path from what test clients observed. Pure: probes in, findings out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from millstream.doctor.advice import PROXIES
from millstream.doctor.probe import ECHO, Probe, named
from millstream.formats.json import Json
from millstream.formats.table import FORMATS
from millstream.responses import HEADERS, STREAMED

SOON = 0.3  # of the time between two marks: what comes sooner came together with the one before
BURSTS = 0.5  # of all marks: so many that came together are no accident
HELD = 0.6  # of the time that all marks take: the first one later than that was held back
LATE = 1.0  # s that a busy machine may be late by: where marks are few, so much is no sign
SEEN = ("last-event-id", "idempotency-key")


@dataclass(frozen=True)
class Finding:
    """One symptom, in plain words. `symptom` is its name in the table of advice."""

    symptom: str
    says: str


Check = Callable[[Probe], str]


def diagnose(probes: Sequence[Probe]) -> list[Finding]:
    """Return the findings: each symptom once, with the ways that show it."""
    findings = []
    for symptom, check, headline in CHECKS:
        shown: dict[str, list[Probe]] = {}
        for probe in probes:
            if (probe.status == 200 or symptom in ALWAYS) and (detail := check(probe)):
                shown.setdefault(detail, []).append(probe)
        if shown:
            all_ = len(probes) if len(probes) > 2 else 0
            ways = ("every way" if len(those) == all_ else named(those) for those in shown.values())
            details = "; ".join(f"{detail} ({way})" for detail, way in zip(shown, ways, strict=True))
            findings.append(Finding(symptom, f"{headline}: {details}."))
    return findings


def server_of(probes: Iterable[Probe]) -> str:
    """The proxy's kind as its headers tell it, "" if they don't."""
    names = ("server", "via", "x-powered-by")
    told = " ".join(probe.headers.get(name, "") for probe in probes for name in names).lower()
    return next((name for name in ("cloudflare", *PROXIES) if name in told), "")


def refused(probe: Probe) -> str:
    if probe.status in (200, 0):
        return ""
    try:
        says = json.loads(probe.body)["error"]["message"]
    except (ValueError, TypeError, KeyError):
        text = re.sub(r"<[^<>]*>", " ", probe.body.decode("utf-8", "replace"))
        says = " ".join(text.split())[:120]
    return f"status {probe.status}, {says.rstrip('.')}"


def unreachable(probe: Probe) -> str:
    return (probe.error or "no answer") if probe.status == 0 else ""


def compressed(probe: Probe) -> str:
    encoding = probe.headers.get("content-encoding", "identity")
    # A whole document may be compressed. A stream may not: the compressor buffers it.
    return f"Content-Encoding is {encoding}" if encoding != "identity" and probe.format != Json.NAME else ""


def held(probe: Probe) -> str:
    if probe.format == Json.NAME:
        return ""
    length = probe.plan.number * probe.plan.every
    first = min(probe.marks.values(), default=None)
    if first is None:
        # The doctor can't decode Brotli; the compression is already reported.
        return "" if probe.headers.get("content-encoding") == "br" else "no mark came at all"
    late = first - max(probe.plan.due(0), probe.asked)
    return f"the first mark came {late:.0f} s late" if late > max(length * HELD, LATE) else ""


def bursts(probe: Probe) -> str:
    if probe.format == Json.NAME or held(probe):
        return ""
    times = [probe.marks[n] for n in sorted(probe.marks) if n < probe.plan.number and probe.plan.due(n) > probe.asked]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    together = sum(gap < probe.plan.every * SOON for gap in gaps)
    if len(times) < 4 or together < BURSTS * len(gaps):
        return ""
    return f"{len(times)} marks came in {len(gaps) - together + 1} pieces"


def cut(probe: Probe) -> str:
    """Return words for a connection that was cut during the silence; "" if it was not."""
    last = probe.marks.get(probe.plan.number - 1)
    if probe.whole or not probe.plan.silence or last is None:
        return ""
    silent = probe.ended - last
    return f"after {silent:.0f} s without a byte" if silent < probe.plan.silence * 0.95 else ""


def broken(probe: Probe) -> str:
    if probe.whole or cut(probe) or held(probe):
        return ""
    return probe.error or "it ended before the last mark"


def http10(probe: Probe) -> str:
    echo = probe.headers.get(ECHO.lower(), "")
    return "the server was asked over HTTP/1.0" if echo.startswith("HTTP/1.0") and probe.version != "1.0" else ""


def headers(probe: Probe) -> str:
    # nginx removes X-Accel-Buffering on purpose, and compression adds to Vary.
    sent = HEADERS if probe.format == Json.NAME else STREAMED
    lost = [name for name, value in sent.items() if name != "X-Accel-Buffering" and not _kept(probe, name, value)]
    echo = probe.headers.get(ECHO.lower())
    if echo is None:
        lost.append(f"{ECHO} (and with it all that is unknown to the proxy)")
    else:
        asked = (name for name in SEEN if not (name == "last-event-id" and probe.format == Json.NAME))
        lost += [f"{name} on the way in" for name in asked if name not in echo.split()]
        if "accept" not in echo.split():
            lost.append("accept on the way in")
    return f"lost are {', '.join(lost)}" if lost else ""


def _kept(probe: Probe, name: str, value: str) -> bool:
    got = [part.strip().lower() for part in probe.headers.get(name.lower(), "").split(",")]
    return all(part.strip().lower() in got for part in value.split(","))


def content_type(probe: Probe) -> str:
    expected = "application/json" if probe.format == Json.NAME else FORMATS[probe.format].CONTENT_TYPE
    got = probe.headers.get("content-type", "")
    same = got.replace(" ", "").lower() == expected.replace(" ", "").lower()
    return "" if same else f"Content-Type is {got} and not {expected}" if got else "Content-Type is missing"


ALWAYS = ("unreachable", "refused", "http10")  # the others are looked for where the way was answered
# In order of cause: an earlier symptom explains later ones.
CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("unreachable", unreachable, "Not reached"),
    ("refused", refused, "Refused"),
    ("held", held, "Held back until the end"),
    ("bursts", bursts, "Passed on in bursts"),
    ("compressed", compressed, "Compressed on the way"),
    ("http10", http10, "Asked over HTTP/1.0, which has no sign for an answer that breaks off"),
    ("cut", cut, "Cut when idle"),
    ("broken", broken, "Broken off"),
    ("headers", headers, "Headers taken away"),
    ("type", content_type, "Content type rewritten"),
)
