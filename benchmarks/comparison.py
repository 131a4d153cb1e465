"""The measurements; started by run.py in its virtual environment."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from contenders import HERE, OTHER_CORE, Relay, Upstream, free_port, nginx, pinned, relays
from report import write

SATURATED = 0.95  # of a core
PACE = 20_000  # µs: 50 tokens a second for each stream
MAIN = ["nginx", "millstream", "flask", "starlette", "fastapi"]
VARIANTS = ["nginx", "millstream", "text", "v1", "memory"]
TLS = ["nginx", "millstream", "flask"]
OPEN = [0, 500, 2000]  # streams


@dataclass(frozen=True)
class Case:
    """`streams` at a time; a window of `seconds`, or if `answers` is set so many whole answers of one token."""

    name: str
    streams: int
    every: int  # µs between two tokens; 0: flat out
    seconds: float = 2.0
    answers: int = 0


CASES = [
    Case("paced-50", 50, PACE),
    Case("paced-200", 200, PACE),
    Case("paced-500", 500, PACE),
    Case("start", 8, 0, answers=600),
    Case("first", 1, 0, answers=200),
    Case("flat-1", 1, 0, 1.5),
    Case("flat", 20, 0, 1.5),
]
BY_NAME = {case.name: case for case in CASES}


class Load:
    """The compiled client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, port: int, request: bytes, case: Case, pids: list[str]) -> dict[str, float]:
        path = self.folder / "request"
        path.write_bytes(request)
        amount = str(-case.answers if case.answers else case.seconds)
        command = [
            "taskset",
            "-c",
            OTHER_CORE,
            str(HERE / ".venv/load"),
            str(port),
            str(path),
            str(case.streams),
            amount,
        ]
        done = subprocess.run([*command, *pids], capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)


def measure(load: Load, relay: Relay, case: Case) -> dict[str, float]:
    """One case on a relay that runs. Raises RuntimeError where a token is lost, doubled or out of order."""
    tokens = 1 if case.answers else 10_000_000
    found = load.run(relay.port, relay.request(tokens, case.every), case, relay.pids)
    if found["wrong"] or found["ended"]:
        raise RuntimeError(f"{relay.name}, {case.name}: {found}")
    if case.answers:
        return {"start_ms": found["cpu"] / found["answers"] * 1000, "first_us": found["first_us"]}
    return {
        "us": found["cpu"] / found["tokens"] * 1e6,
        "per_second": found["tokens"] / found["seconds"],
        "busy": found["cpu"] / found["seconds"],
        "due": case.streams * 1e6 / case.every if case.every else 0,
        "delay_us": found["delay_us"],
    }


Results = dict[str, dict[str, dict[str, float]]]  # by relay, by case


def compare(load: Load, upstream: Upstream, names: list[str], cases: list[Case], rounds: int) -> Results:
    """Relays take turns, each with a fresh process; the medians of the rounds."""
    all_: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for name in names:
            relay = relays()[name].started(upstream)
            saturated = False
            try:
                for case in cases:
                    if saturated and case.every:
                        continue  # more streams would only wait longer
                    if case is not cases[0]:  # some relays go on with what nobody follows any more
                        relay.stop()
                        relay.started(upstream)
                    print(f"round {number + 1}: {relay.name}, {case.name}", flush=True)
                    try:
                        found = measure(load, relay, case)
                        all_[name][case.name].append(found)
                        saturated = bool(case.every) and found["busy"] > SATURATED
                    except RuntimeError as error:  # a contender that breaks down: that is a result, too
                        print(f"  {str(error).strip()[:300]}")
            finally:
                relay.stop()
    return {
        name: {
            case: {key: median(one[key] for one in found) for key in found[0]}
            for case, found in by_case.items()
            if found
        }
        for name, by_case in all_.items()
    }


def memory(load: Load, upstream: Upstream, names: list[str], steps: list[int]) -> dict[str, list[float]]:
    """KiB that a fresh process takes with so many open streams of one token a second."""
    taken: dict[str, list[float]] = {}
    for name in names:
        taken[name] = []
        for streams in steps:
            relay = relays()[name].started(upstream)
            try:
                print(f"memory: {relay.name}, {streams} streams", flush=True)
                path = load.folder / f"memory-{name}"
                path.write_bytes(relay.request(10_000_000, 1_000_000))
                command = [str(HERE / ".venv/load"), str(relay.port), str(path), str(streams), "60", *relay.pids]
                client = pinned(OTHER_CORE, command, load.folder) if streams else None
                time.sleep(3 + streams / 400)  # opening them, and some tokens
                if client is not None and client.poll() is not None:
                    raise SystemExit((load.folder / "log").read_text("utf-8"))
                taken[name].append(relay.memory() / 1024)
                if client is not None:
                    client.terminate()
                    client.wait()
            finally:
                relay.stop()
    return taken


def with_tls(stack: ExitStack, upstream: Upstream) -> Upstream:
    """nginx with a certificate of its own in front of the emulator, on the emulator's core."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millstream-tls-")))
    options = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *options, *files]
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    certificate = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    process = pinned(OTHER_CORE, nginx(port, upstream, folder, certificate)[0], folder)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    time.sleep(0.5)
    return Upstream(port, ca_file=str(folder / "cert.pem"))


def main() -> None:
    options = argparse.ArgumentParser(description="Compares Millstream with other relays.")
    options.add_argument("--quick", action="store_true", help="one round, fewer cases: under two minutes")
    options.add_argument("--only", default="", help="relays, separated by commas")
    options.add_argument("--case", default="", help="cases, separated by commas: " + ", ".join(BY_NAME))
    options.add_argument("--rounds", type=int, default=0)
    use = options.parse_args()
    for tool in ("taskset", "openssl"):
        if not shutil.which(tool):
            raise SystemExit(f"benchmarks/run.py needs {tool}")
    rounds = use.rounds or (1 if use.quick else 3)
    cases = [BY_NAME[name] for name in use.case.split(",")] if use.case else CASES
    if use.quick and not use.case:
        cases = [BY_NAME[name] for name in ("paced-200", "flat", "start", "first")]
    names = use.only.split(",") if use.only else MAIN
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millstream-load-")))
        upstream = Upstream(free_port())
        emulator = pinned(OTHER_CORE, [str(HERE / ".venv/upstream"), str(upstream.port)], folder)
        stack.callback(emulator.kill)
        time.sleep(0.3)
        load = Load(folder)
        results = {"plain": compare(load, upstream, names, cases, rounds)}
        direct = relays()["nginx"].request(1, 0)
        found = load.run(upstream.port, direct, BY_NAME["first"], [str(emulator.pid)])
        taken: dict[str, list[float]] = {}
        if not use.only and not use.quick:
            results["variants"] = compare(load, upstream, VARIANTS, [BY_NAME["paced-200"], BY_NAME["flat"]], rounds)
            results["tls"] = compare(
                load, with_tls(stack, upstream), TLS, [BY_NAME["paced-200"], BY_NAME["flat"]], rounds
            )
            taken = memory(load, upstream, TLS, OPEN)
        write({name: relay.name for name, relay in relays().items()}, results, taken, found["first_us"], rounds, not use.only and not use.case)


if __name__ == "__main__":
    main()
