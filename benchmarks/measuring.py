"""Rounds of measurements, each relay in its turn."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from contenders import RELAYS
from emulation import Emulator, Load, Upstream
from plan import CASES, START, Case, Turn
from relay import Relay, Running
from report import shown

LATE = 10_000  # µs from the upstream's write to the client, in the middle: then a relay falls behind
FULL = 0.95  # of a core

Found = dict[str, float]


@dataclass
class Comparison:
    """One run: who is measured by whom, and what came out, by relay and case, of each round."""

    load: Load
    emulator: Emulator
    tls: Upstream | None
    found: dict[tuple[str, str], list[Found]] = field(default_factory=lambda: defaultdict(list))
    missing: dict[str, str] = field(default_factory=dict)  # what is not installed, and why
    broken: dict[tuple[str, str], str] = field(default_factory=dict)
    cut: str = ""  # where time ran out: what comes later has fewer rounds

    def direct(self) -> None:
        """How long the first token takes with nothing in between."""
        case, request = CASES["first"], RELAYS["nginx"].request(1, 0)
        pids = [self.emulator.pids] * 3
        for window in self.load.windows(self.emulator.port, request, case.streams, case.amount, pids):
            self.found["direct", case.name].append(reduced(case, 1, window))

    def round(self, number: int, turns: list[Turn], until: float) -> None:
        """Each relay once, each with a fresh process; those with the same server share it."""
        with ExitStack() as stack:
            running, server = None, ""
            for turn in turns:
                if time.time() > until:
                    self.cut = self.cut or f"Time ran out in round {number + 1}, before {RELAYS[turn.relay].label}."
                    return
                relay = RELAYS[turn.relay]
                names = [*(turn.once if number == 0 else ()), *turn.each]
                for name in sorted(names, key=list(CASES).index):
                    case = CASES[name]
                    if relay.key in self.missing or (relay.key, START) in self.broken or self._hopeless(relay, case):
                        continue
                    # Memory is counted from a fresh process on, and some relays go on with what nobody follows.
                    fits = running and server == relay.server and not (running.used and case.memory)
                    if not (fits and self._idle()):
                        stack.close()
                        running, server = self._start(stack, relay), relay.server
                    if running and not self._measure(number, relay, case, running):
                        running = None

    def _start(self, stack: ExitStack, relay: Relay) -> Running | None:
        upstream = self.tls if relay.tls else self.emulator
        assert upstream
        try:
            running = stack.enter_context(relay.running(upstream))
            for _ in self.load.windows(running.port, relay.request(1, 0), (4,), -20, [running.pids]):
                pass  # what is imported at the first request is no start
        except FileNotFoundError as error:
            self.missing[relay.key] = str(error)
        except RuntimeError as error:
            self.broken[relay.key, START] = str(error).strip()[-300:]
        else:
            return running
        print(f"{relay.name}: {self.missing.get(relay.key) or self.broken[relay.key, START]}", flush=True)
        return None

    def _idle(self) -> bool:
        until = time.monotonic() + 2.0
        while self.emulator.counts()["running"]:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _hopeless(self, relay: Relay, case: Case) -> bool:
        """More streams at the same pace would only wait longer."""
        return any(
            found["saturated"]
            and found["busy"] > FULL
            and other.every == case.every
            and other.streams <= case.streams
            for other in CASES.values()
            for found in self.found.get((relay.key, other.name), ())
            if case.every
        )

    def _measure(self, number: int, relay: Relay, case: Case, running: Running) -> bool:
        """Whether the relay stood it; one that breaks down is a result, too."""
        upstream = (self.tls if relay.tls else self.emulator) or self.emulator
        groups = [running.pids, upstream.pids, running.store]
        request = relay.request(1 if case.answers else 10_000_000, case.every)
        running.used = True
        try:
            before, counts = running.memory(), self.emulator.counts()
            windows = self.load.windows(running.port, request, case.streams, case.amount, groups)
            for streams, window in zip(case.streams, windows, strict=False):
                found = reduced(case, streams, window)
                if case.answers and not relay.tls:  # there the emulator sees what nginx opens
                    after = self.emulator.counts()
                    opened = after["connections"] - counts["connections"] - 1  # this question's
                    found["reused"] = 1 - opened / (after["answers"] - counts["answers"])
                name = case.name
                if case.memory:
                    found["kib"] = (running.memory() - before) / streams
                    found["kib_none"] = before
                    name = f"open-{streams}"
                self.found[relay.key, name].append(found)
                print(f"round {number + 1}: {relay.name}, {name}: {shown(name, found)}", flush=True)
        except (RuntimeError, FileNotFoundError) as error:
            self.broken[relay.key, case.name] = str(error).strip()[-300:]
            print(f"round {number + 1}: {relay.name}, {case.name}: {self.broken[relay.key, case.name]}", flush=True)
            return False
        return True

    def medians(self) -> dict[str, dict[str, Found]]:
        """By relay and case; a saturated window counts only where all are."""
        by_relay: dict[str, dict[str, Found]] = defaultdict(dict)
        for (relay, case), rounds in self.found.items():
            good = [found for found in rounds if not found["saturated"]] or rounds
            by_relay[relay][case] = {key: median(found[key] for found in good) for key in good[0]}
            by_relay[relay][case]["rounds"] = len(good)
        return dict(by_relay)


def reduced(case: Case, streams: int, window: dict[str, Any]) -> Found:
    """A window of load.c as the figures that count. Raises RuntimeError where a token was lost, doubled or late in
    its order."""
    if window["wrong"] or (window["ended"] and not case.answers):
        raise RuntimeError(
            f"tokens lost, doubled or out of order: {window['wrong']}; streams ended: {window['ended']}"
        )
    seconds, (relay, upstream, store, client) = window["seconds"], window["cpu"]
    shares = {"busy": relay / seconds, "upstream": (upstream + store) / seconds, "client": client / seconds}
    shares["waited"] = window["waited"] / seconds
    if case.answers:
        return {
            **shares,
            "saturated": 0,
            "start_ms": relay / window["answers"] * 1000,
            "first_us": window["first_us"],
        }
    tokens = window["tokens"] or 1
    found = {**shares, "us": relay / tokens * 1e6, "store_us": store / tokens * 1e6, "per_second": tokens / seconds}
    behind = (
        window["delay_us"] > LATE or tokens < 0.95 * seconds * streams * 1e6 / case.every if case.every else False
    )
    # Late tokens count for nothing: what falls behind has gathered them, and gathered ones are cheaper.
    saturated = bool(case.every) and (behind or shares["busy"] > FULL)
    return {**found, "delay_us": window["delay_us"], "saturated": saturated or seconds < 0.95}
