"""An upstream that always has more holds nobody else up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, since it patches.
READS = """
from gevent import monkey
monkey.patch_all()
import socket
import gevent
from millstream.sockets.upstream import Body
from millstream.wire.http import UntilClose

here, there = socket.socketpair()
there.sendall(b"x" * 160_000)
body = Body(here, UntilClose())
turns = []

def other():
    while True:
        turns.append(1)
        gevent.sleep(0)

body.read()
gevent.spawn(other)
for _ in range(2):
    had = len(turns)
    assert body.read(), "nothing to read"
    assert len(turns) > had, "nobody else had a turn"
print("ok")
"""


def test_others_have_their_turn_between_two_reads() -> None:
    done = subprocess.run([sys.executable, "-c", READS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ok\n", "")
