"""Compares Millstream with other relays, in one run on one machine: `python benchmarks/run.py [--quick]`.

Needs Linux with two cores, a C compiler, nginx and openssl. Each relay has one core, the emulated upstream and the
client have another; relays take turns, and the medians of the rounds count. Only ratios within one run mean anything
elsewhere. A whole run writes benchmarks/RESULTS.md and the plots beside it.
"""

from __future__ import annotations

import os
import sys
import time

from installing import HERE, VENV, compile_programs, install

if __name__ == "__main__":
    os.environ["BENCHMARK_BEGUN"] = str(time.time())  # installing counts, too
    install(VENV, HERE.parent / "requirements.txt", HERE / "requirements.txt")
    compile_programs()
    os.execv(VENV / "bin/python", [str(VENV / "bin/python"), str(HERE / "comparison.py"), *sys.argv[1:]])
