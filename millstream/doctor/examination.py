"""The whole of it: marks are begun, all ways are followed at once, and what they saw becomes a report."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from millstream.doctor import kernel
from millstream.doctor.diagnosis import Finding, diagnose, server_of
from millstream.doctor.marks import Plan
from millstream.doctor.probe import Probe, Target, follow

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
TIMEOUT = 10.0  # s for the server itself


class CantBegin(Exception):
    """The server could not be asked for marks: a sentence for the operator."""


@dataclass(frozen=True)
class Report:
    """What was found. `findings` must be mended, `notes` should be; `server` is the proxy's kind, "" if unknown."""

    url: str
    probes: list[Probe]
    findings: list[Finding]
    notes: list[Finding]
    server: str

    @property
    def well(self) -> bool:
        return not self.findings


def examine(target: Target, begin: Begin, silence: float) -> Report:
    """Takes some seconds longer than `silence`, which is what an idle way is tried with (0: it isn't)."""
    secure = urlsplit(target.url).scheme == "https"
    ways = WAYS + (HTTPS_WAYS if secure and shutil.which("curl") else ())
    probes = [Probe(Plan(), format, version) for format, version in ways]
    threads = _follow_all(target, begin, Plan(), probes)
    if silence:
        quiet = Plan(number=2, silence=silence)
        probes.append(Probe(quiet, "text", "1.1"))
        threads += _follow_all(target, begin, quiet, probes[-1:])
    for thread in threads:
        thread.join()
    return Report(target.url, probes, diagnose(probes), _notes(probes, secure), server_of(probes))


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
    if any(probe.keepalive is False for probe in probes):
        says = "The proxy does not probe its clients: one that vanishes while nothing is sent stays for hours."
        notes.append(Finding("keepalive", says))
    over_2 = [probe for probe in probes if probe.version == "2" and probe.status]
    if secure and shutil.which("curl") and not over_2:
        notes.append(
            Finding("http2", "There is no HTTP/2: over HTTP/1.1 browsers open only six streams to one host.")
        )
    return notes


def begin_at(server: str, key: str) -> Begin:
    """Marks from the server at this address, past the proxy."""

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
            return str(document["id"]) if answer.ok else _refuse(server, document["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return _refuse(server, f"its answer, {answer.status_code}, is none of Millstream's.")

    return begin


def _refuse(server: str, why: str) -> str:
    raise CantBegin(f"The server at {server} gives the doctor no marks: {why}")
