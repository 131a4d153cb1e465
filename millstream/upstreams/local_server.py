"""Keep the local model running: `python -m millstream.upstreams.local_server`, started by local.py.

It starts the model as its child, and restarts it when it dies. It exits when the pipe on its stdin closes. The model
exits when the pipe between the two closes. So a kill -9 of its parent, or of this process, leaves nothing running.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import IO

PAUSE, LONGEST_PAUSE = 0.5, 30.0  # s from a crash to the restart: the first, and the longest after doubling
LONG_LIFE = 60.0  # s; after a longer run the pauses begin again with the first
LAST_WORD = 5.0  # s for the model to exit

STDIN = 0


def supervise(command: list[str]) -> None:
    """Run the command until stdin closes."""
    pause = PAUSE
    while True:
        begun = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as model:
            if not _died(model.stdout):
                _end(model)
                return
            code = model.wait()
        if time.monotonic() - begun > LONG_LIFE:
            pause = PAUSE
        sys.stderr.write(f"Millstream: the local model ended ({code}); starting it again in {pause:g} s.\n")
        if select.select([STDIN], [], [], pause)[0]:
            return
        pause = min(2 * pause, LONGEST_PAUSE)


def _died(stdout: IO[bytes] | None) -> bool:
    """Wait. Return True when the model has exited, False when our own stdin has closed."""
    assert stdout is not None
    model = stdout.fileno()
    while True:
        ready = select.select([STDIN, model], [], [])[0]
        if STDIN in ready and not os.read(STDIN, 4096):
            return False
        # The model writes nothing; its end of the pipe closes when it dies.
        if model in ready and not os.read(model, 4096):
            return True


def _end(model: subprocess.Popen[bytes]) -> None:
    assert model.stdin is not None
    model.stdin.close()
    try:
        model.wait(LAST_WORD)
    except subprocess.TimeoutExpired:
        model.kill()


if __name__ == "__main__":
    # Close inherited listening sockets of an older server: they would stay open in this process.
    os.closerange(3, 4096)
    # Ctrl-C and a closing terminal reach every process; the server may still have streams to finish.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    supervise([sys.executable, "-m", "millstream.upstreams.local_model"])
