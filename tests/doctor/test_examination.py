"""The whole of the doctor, before a server that is not there: what it says of itself."""

from __future__ import annotations

import math
import time

import pytest

from millstream.doctor import examination
from millstream.doctor.examination import examine
from millstream.doctor.probe import Target
from millstream.responses import STREAMED
from tests.system.nginx import free_port


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_a_machine_that_is_late_itself_says_so_beside_what_it_finds(monkeypatch, late):
    monkeypatch.setattr(examination, "follow", lambda probe, *_: setattr(probe, "error", "refused"))
    monkeypatch.setattr(examination, "_look_at_ourselves", lambda found, over: found.append(late))
    monkeypatch.setattr(examination.kernel, "retries", lambda: None)
    report = examine(Target(f"http://127.0.0.1:{free_port()}"), lambda plan: "id", 0)
    assert [finding.symptom for finding in report.findings] == ["unreachable"]
    assert [note.symptom for note in report.notes] == (["busy"] if late else [])


@pytest.mark.parametrize(("late", "found"), [(0.0, ["bursts"]), (0.5, [])])
def test_a_machine_that_is_late_itself_looks_again_more_slowly(monkeypatch, late, found):
    def see(probe, *_):
        probe.status, probe.whole = 200, True
        probe.headers = {name.lower(): value for name, value in STREAMED.items()}
        turn = 0.6  # s, after which a busy machine comes to it
        probe.marks = {n: turn * math.ceil(probe.plan.due(n) / turn) for n in range(probe.plan.number)}

    monkeypatch.setattr(examination, "follow", see)
    monkeypatch.setattr(examination, "_look_at_ourselves", lambda all_, over: all_.append(late))
    report = examine(Target("http://127.0.0.1"), lambda plan: "id", 0)
    assert [one.symptom for one in report.findings if one.symptom == "bursts"] == found
    assert ("busy" in [note.symptom for note in report.notes]) == bool(late)


class Busy:
    """An event that is waited for longer than one asked to, and then has happened."""

    waited = 0

    def wait(self, seconds: float) -> bool:
        self.waited += 1
        time.sleep(seconds + examination.BUSY)
        return self.waited > 1


def test_its_own_lateness_is_seen():
    late = []
    examination._look_at_ourselves(late, Busy())
    assert late[0] >= examination.BUSY
