"""A killed greenlet takes its upstream's connection with it, whatever it was waiting for."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system  # for its time, and the other programs it runs

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(("module", "phases"), [("leave", 15), ("spark_leave", 10)])
def test_a_killed_greenlet_closes_the_connection_in_every_phase(module, phases):
    run = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", "--module", f"tests.upstreams.{module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == phases
