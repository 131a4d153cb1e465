"""The doctor as its own advice says: again, if what it found may be this machine's, which was busy."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from millstream.doctor import examination
from millstream.doctor.examination import Begin, Report
from millstream.doctor.probe import Target

TRIES = 3
ALONE = Lock()
BUSY = "This machine was busy"
Found = TypeVar("Found")


def again(look: Callable[[], Found], busy: Callable[[Found], bool]) -> Found:
    """What was found when the machine was idle, or at the last try. Those who look again do so one by one."""
    found = look()
    for _ in range(TRIES):
        if not busy(found):
            break
        with ALONE:
            found = look()
    return found


def examine(target: Target, begin: Begin, silence: float) -> Report:
    """`millstream.doctor.examination.examine`, again if the machine was busy."""
    return again(
        lambda: examination.examine(target, begin, silence),
        lambda report: any(note.symptom == "busy" for note in report.notes),
    )
