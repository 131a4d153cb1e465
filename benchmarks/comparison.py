"""What to measure, and what with; started by run.py in its virtual environment."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from contenders import RELAYS, nginx
from emulation import Emulator, Load, Upstream
from installing import VENV, why_no_litellm
from measuring import Comparison
from plan import CASES, PLAN, QUICK, Turn, chosen, duration
from processes import OTHER_CORE, Process, folder, free_port
from report import write

BUDGET, QUICK_BUDGET = 540.0, 100.0  # s, with what installing took; then no relay gets another turn


@contextmanager
def with_tls(emulator: Emulator) -> Iterator[Upstream]:
    """nginx with a certificate of its own in front of the emulator, on the emulator's core."""
    own = folder("tls")
    options = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(own / "key.pem"), "-out", str(own / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *options, *files]
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    certificate = f"ssl_certificate {own}/cert.pem; ssl_certificate_key {own}/key.pem;"
    process = Process(OTHER_CORE, nginx(port, emulator, own, certificate).command, own)
    try:
        process.wait_for(port)
        yield Upstream(port, str(own / "cert.pem"), [*emulator.pids, *process.pids])
    finally:
        process.stop()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description="Compares Millstream with other relays.")
    parser.add_argument("--quick", action="store_true", help="one round, fewer cases: under two minutes")
    parser.add_argument("--only", default="", metavar="NAME,…", help="relays: " + ", ".join(RELAYS))
    parser.add_argument("--case", default="", metavar="NAME,…", help="cases: " + ", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=0, help="3 by default, with --quick 1")
    use = parser.parse_args()
    for given, known in ((use.only, RELAYS), (use.case, CASES)):
        if unknown := [name for name in given.split(",") if name and name not in known]:
            parser.error(f"{', '.join(unknown)}: there is only {', '.join(known)}")
    return use


def estimate(turns: list[Turn], rounds: int) -> float:
    """Seconds, about."""
    whole, server = 0.0, ""
    for turn in turns:
        relay = RELAYS[turn.relay]
        for names, times in ((turn.each, rounds), (turn.once, 1)):
            whole += times * sum(duration(CASES[name], relay.cost.start_ms) for name in names)
        if server != relay.server:
            whole += relay.cost.boot * (rounds if turn.each else 1)
        server = relay.server
    return whole


def main() -> None:
    use = options()
    begun = float(os.environ.get("BENCHMARK_BEGUN", time.time()))
    for tool in ("taskset", "openssl"):
        if not shutil.which(tool):
            raise SystemExit(f"benchmarks/run.py needs {tool}")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("benchmarks/run.py needs two cores: one for the relay, one for what measures it")
    rounds = use.rounds or (1 if use.quick else 3)
    turns = chosen(
        QUICK if use.quick else PLAN, *([n for n in names.split(",") if n] for names in (use.only, use.case))
    )
    print(
        f"This takes about {estimate(turns, rounds) / 60:.1f} minutes, and up to two more when it installs.",
        flush=True,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started shall end as well
    with ExitStack() as stack:
        own = folder("load")
        emulator = Emulator(own)
        stack.callback(emulator.process.stop)
        tls = stack.enter_context(with_tls(emulator)) if any(RELAYS[turn.relay].tls for turn in turns) else None
        comparison = Comparison(Load(own), emulator, tls)
        if any(turn.relay == "litellm" for turn in turns) and (reason := why_no_litellm()):
            comparison.missing["litellm"] = reason
        for number in range(rounds):
            comparison.direct()
            comparison.round(number, turns, begun + (QUICK_BUDGET if use.quick else BUDGET))
    figures = [[*key, rounds] for key, rounds in comparison.found.items()]
    (VENV / "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    whole = not (use.quick or use.only or use.case)
    write(comparison, rounds, (time.time() - begun) / 60, keep=whole)
    if any(relay.startswith("millstream") for relay, _ in comparison.broken):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
