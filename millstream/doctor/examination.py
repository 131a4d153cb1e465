"""The whole of it: marks are begun, all ways are followed at once, and what they saw becomes a report."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from millstream.doctor import kernel
from millstream.doctor.diagnosis import Finding, diagnose, server_of
from millstream.doctor.marks import Plan
from millstream.doctor.probe import Probe, Target, curl, follow

Begin = Callable[[Plan], str]  # begins a stream of marks, gives its id; raises CantBegin

WAYS = (
    ("text", "1.1"),
    ("sse", "1.1"),
    ("ndjson", "1.1"),
    ("html", "1.1"),
    ("json", "1.1"),
    ("text", "1.0"),
    ("sse", "1.0"),
)
HTTPS_WAYS = (("text", "2"), ("sse", "2"))
IDLE_WAYS = (("text", "1.1"),)  # of which no heartbeat keeps the connection alive
HTTPS_IDLE_WAYS = (("text", "2"),)
Ways = tuple[tuple[str, str], ...]
APART = Plan(number=8, every=1.5, lead=3.0)
TIMED = ("held", "bursts")  # symptoms that a busy machine may have by itself
TIMEOUT = 10.0  # s for the server itself
TICK, BUSY = 0.1, 0.3  # s between two looks at our own clock; s that it is late where findings mean little


class CantBegin(Exception):
    """The server could not be asked for marks: a sentence for the operator. `code` is the server's; "" is none."""

    def __init__(self, says: str, code: str = "") -> None:
        super().__init__(says)
        self.code = code


@dataclass(frozen=True)
class Report:
    """The result. `findings` must be fixed, `notes` should be; `server` is the proxy's kind, "" if unknown."""

    url: str
    probes: list[Probe]
    findings: list[Finding]
    notes: list[Finding]
    server: str

    @property
    def well(self) -> bool:
        return not self.findings


def examine(target: Target, begin: Begin, silence: float) -> Report:
    """Examine the path. Takes some seconds longer than `silence`, the time for the idle test (0 skips it). If this
    machine itself is slow, late marks are tested again, with more time between them."""
    secure = urlsplit(target.url).scheme == "https"
    over_2 = secure and curl() != ""
    ways = WAYS + HTTPS_WAYS * over_2
    idle = [(Plan(number=2, silence=silence), IDLE_WAYS + HTTPS_IDLE_WAYS * over_2)] if silence else []
    probes, late = _look(target, begin, [(Plan(), ways), *idle])
    findings = diagnose(probes)
    doubted = late > BUSY and _timed(findings)
    if doubted:
        again, later = _look(target, begin, [(APART, ways)])
        probes = again + [probe for probe in probes if probe.plan.silence]
        findings = diagnose(probes)
        late = later if _timed(findings) else late  # what is seen no more may come in less time than APART
    notes = _notes(probes, secure)
    if (findings or doubted) and late > BUSY:
        says = f"This machine was busy, and late by up to {late:.1f} s itself: run the doctor again when it is idle."
        notes.insert(0, Finding("busy", says))
    return Report(target.url, probes, findings, notes, server_of(probes))


def _timed(findings: list[Finding]) -> bool:
    return any(finding.symptom in TIMED for finding in findings)


def _look(target: Target, begin: Begin, plans: list[tuple[Plan, Ways]]) -> tuple[list[Probe], float]:
    """Return what the clients saw, and how late this machine itself was, in seconds."""
    probes: list[Probe] = []
    threads: list[threading.Thread] = []
    late, over = [0.0], threading.Event()
    watch = threading.Thread(target=_look_at_ourselves, args=(late, over))
    for plan, ways in plans:
        those = [Probe(plan, format, version) for format, version in ways]
        threads += _follow_all(target, begin, plan, those)
        probes += those
    watch.start()
    for thread in threads:
        thread.join()
    over.set()
    watch.join()
    return probes, max(late)


def _look_at_ourselves(late: list[float], over: threading.Event) -> None:
    """Notes how late a clock of our own is."""
    begun = time.monotonic()
    while not over.wait(TICK):
        late.append(time.monotonic() - begun - TICK)
        begun = time.monotonic()


def _follow_all(target: Target, begin: Begin, plan: Plan, probes: list[Probe]) -> list[threading.Thread]:
    id = begin(plan)
    begun = time.monotonic()
    look = kernel.keepalive if plan.silence else None
    threads = [threading.Thread(target=follow, args=(probe, target, id, begun, look)) for probe in probes]
    for thread in threads:
        thread.start()
    return threads


def _notes(probes: list[Probe], secure: bool) -> list[Finding]:
    notes = []
    retries = kernel.retries()
    if retries is not None and retries > kernel.ENOUGH:
        says = f"net.ipv4.tcp_retries2 is {retries} on this machine: clients that vanish are held for many minutes."
        notes.append(Finding("vanished", says))
    late = max((probe.probed for probe in probes if probe.probed is not None), default=0.0)
    if late > kernel.SOON:
        when = "never probes" if late == math.inf else f"waits for {math.ceil(late / 60)} minutes before it probes"
        says = f"The proxy {when} idle clients: one that vanishes while nothing is sent stays for so long."
        notes.append(Finding("keepalive", says))
    if secure and not curl():
        notes.append(Finding("curl", "HTTP/2 was not tried: that needs curl, of a kind that knows HTTP/2."))
    elif secure and not any(probe.version == "2" and probe.status for probe in probes):
        notes.append(
            Finding("http2", "There is no HTTP/2: over HTTP/1.1 browsers open only six streams to one host.")
        )
    return notes


def begin_at(server: str, key: str) -> Begin:
    """Marks from the server at this address, past the proxy."""
    # Not at the top: no worker needs it, and it is a twentieth of a start.
    import requests

    def begin(plan: Plan) -> str:
        session = requests.Session()
        session.trust_env = False
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        fields = {name: getattr(plan, name) for name in plan.__struct_fields__}
        try:
            answer = session.post(
                f"{server}/doctor/marks", json=fields, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise CantBegin(
                f"The server itself does not answer at {server} ({type(error).__name__}). Run the doctor on its "
                "machine, and name its own address with --server if it is another one."
            ) from error
        try:
            document = answer.json()
            if answer.ok:
                return str(document["id"])
            why, code = document["error"]["message"], document["error"]["code"]
        except (ValueError, KeyError, TypeError):
            why, code = f"its answer, {answer.status_code}, is not from Millstream.", ""
        raise CantBegin(f"The server at {server} streams no marks to the doctor: {why}", code)

    return begin
