"""What an engineer needs to see why a soak went wrong: one answer by time, whose it was, what was killed when."""

from __future__ import annotations

import time
from typing import NamedTuple

from askers import Asker
from faults import Trouble
from redis import Redis, RedisError

from millstream.stores.redis import names
from tests.system.redis_server import RedisServer

SHOWN = 20  # findings
TOLD = 5  # of them with their stories
BESIDE = 15.0  # s before and after an answer for which trouble is told
NEW_LINE = b"\n"
LINES = 40  # of the servers' logs


class Finding(NamedTuple):
    what: str
    asker: Asker | None = None

    def __str__(self) -> str:
        return f"{self.asker}: {self.what}" if self.asker else self.what


def tell(found: list[Finding], trouble: Trouble, redis: RedisServer, logs: list[str]) -> None:
    for finding in found[:SHOWN]:
        print(finding)
    for asker in list(dict.fromkeys(finding.asker for finding in found if finding.asker))[:TOLD]:
        print(f"\n-- {asker}, text of {len(asker.client.text)} characters, failure {asker.client.failure!r}")
        for at, what in sorted([*life(asker), *beside(asker, trouble)]):
            print(f"{clock(at)} {what}")
        for line in [*logged(asker.client.id, redis), *lines(asker.client.id, logs)]:
            print(line)


def life(asker: Asker) -> list[tuple[float, str]]:
    """What its client did and read: each read that came 0.5 s or more after the one before it, and the last."""
    reads = list(asker.reads)
    shown = [at for before, at in zip([0.0, *reads], reads, strict=False) if at - before >= 0.5]
    counted = [(at, f"   client: read {reads.index(at) + 1} of {len(reads)}") for at in {*shown, *reads[-1:]}]
    return [*((at, f"   client: {what}") for at, what in asker.seen), *counted]


def beside(asker: Asker, trouble: Trouble) -> list[tuple[float, str]]:
    until = (asker.ended or time.monotonic()) + BESIDE
    return [(at, f"trouble: {what}") for at, what in trouble.seen if asker.began - BESIDE <= at <= until]


def logged(id: str, redis: RedisServer) -> list[str]:
    """The stream's entries as Redis has them: who made it, each batch, who seized it, and its end."""
    try:
        with Redis.from_url(redis.url) as client:
            entries = client.xrange(names.log(id)) if id else []
    except RedisError as error:
        return [f"   Redis: {error}"]
    return [f"   Redis: {entry.decode()} {_entry(fields)}" for entry, fields in entries]


def _entry(fields: dict[bytes, bytes]) -> str:
    if b"w" in fields:  # its owner from here on
        return f"{'seized' if b't' in fields else 'made'} by worker {fields[b'w'].decode()}"
    return fields[b"e"].decode() if b"end" in fields else f"{fields[b'e'].count(NEW_LINE)} events"


def lines(id: str, logs: list[str]) -> list[str]:
    """What the servers have logged of it, and of their workers."""
    words = (id or "no id", "orker", "Redis", "WARNING", "ERROR")
    return [f"     log: {line}" for log in logs for line in log.splitlines() if any(word in line for word in words)][
        -LINES:
    ]


def clock(at: float) -> str:
    """A time of the monotonic clock as that of the servers' logs."""
    seconds = time.time() - time.monotonic() + at
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{seconds % 1:.3f}"[2:]
