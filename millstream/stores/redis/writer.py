"""Writes what this worker owns: in order, once, and after Redis was away what came meanwhile."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
import msgspec

from millstream.events import End, Event, Meta
from millstream.stores import StoreLost, Then
from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.log import Entry, Log
from millstream.stores.redis.pipe import Away
from millstream.stores.redis.scripts import APPEND, ERASE, REFRESH, RESTORE, UNDO

SPARE = 300.0  # s that a log outlives its last refreshment, beside its ttl
LAST_WORDS = 1.0  # s to write what is left when the worker leaves

_logger = logging.getLogger(__name__)
encode = msgspec.json.Encoder().encode


class Writer:
    """`logs` are those that this worker owns and whose end Redis does not have yet."""

    def __init__(self, link: Link, channels: names.Channels, ttl: float) -> None:
        self.logs: dict[str, Log] = {}
        self.lifetime = round((ttl + SPARE) * 1000)  # ms; refreshed long before
        self._ttl = round(ttl * 1000)
        self._link = link
        self._channels = channels
        self._later: dict[int, tuple[object, ...]] = {}  # commands, in order, until Redis has answered them
        self._count = 0

    def append(self, log: Log, batch: list[Event], then: Then) -> None:
        """`then` is called when Redis has it; at once where Redis is away."""
        log.add(batch, then)
        if self._link.up:
            self._send(log)
        elif log.unwritten:
            log.unwritten[-1].tell()

    def later(self, command: tuple[object, ...]) -> None:
        """Run a command as soon as Redis is available. It may run twice, so it must be idempotent."""
        self._count += 1
        self._later[self._count] = command
        self._try(self._count)

    def undo(self, meta: Meta) -> None:
        """Undo a refused stream that Redis may have created, or may still create."""
        id = meta.id
        end = Entry(0, [Event("failed", end=End(meta.model, "", failure=Away().failure()), n=1)]).data
        self.later(UNDO.command(names.keys(id), id, self._channels.news(id), names.CLAIMS, end, self._ttl))

    def back(self) -> None:
        """Redis can be asked again."""
        for number in list(self._later):
            self._try(number)
        for log in list(self.logs.values()):
            self._send(log, again=True)
        gevent.spawn(self.refresh)

    def refresh(self) -> None:
        """Keeps running streams from expiring, and writes those anew that Redis has lost."""
        with suppress(Away):
            logs = list(self.logs.values())
            keys = ((log.meta.id, names.keys(log.meta.id)[:2]) for log in logs)
            said = self._link.calls(REFRESH.command(key, id, self.lifetime, names.CLAIMS) for id, key in keys)
            for log, answer in zip(logs, said, strict=True):
                if answer == b"lost":
                    self._refused(log, answer)

    def flush(self) -> None:
        """Wait a moment for the last writes, before the worker exits."""
        with gevent.Timeout(LAST_WORDS, False):
            while self._link.up and (self._later or any(log.unwritten for log in self.logs.values())):
                gevent.sleep(0.005)
        if left := sum(bool(log.unwritten) for log in self.logs.values()):
            _logger.warning("Redis is away: the last events of %d streams are lost", left)

    def _try(self, number: int) -> None:
        def heard(answer: Any) -> None:
            if not isinstance(answer, Away):
                self._later.pop(number, None)

        self._link.post(self._later[number], heard)

    def _send(self, log: Log, again: bool = False) -> None:
        """Send the next entry. Only one is on its way at a time; later batches join the next. `again` sends all."""
        for entry in log.unwritten if again else log.unwritten[:1]:
            if again or not entry.sent:
                entry.sent = True
                self._link.post(self._command(log, entry), partial(self._answered, log, entry))

    def _command(self, log: Log, entry: Entry) -> tuple[object, ...]:
        id = log.meta.id
        ends = (self._ttl,) if entry.ends else ()
        return APPEND.command(
            names.keys(id)[:2],
            *(id, self._channels.news(id), log.epoch, entry.before, entry.last, entry.data, names.CLAIMS, *ends),
        )

    def _answered(self, log: Log, entry: Entry, answer: Any) -> None:
        if answer == b"ok":
            log.wrote(entry)
            if entry.ends:
                self.logs.pop(log.meta.id, None)
            entry.tell()
            self._send(log)
        else:
            self._refused(log, answer)

    def _refused(self, log: Log, answer: Any) -> None:
        if isinstance(answer, Away):
            for kept in log.unwritten:
                kept.tell()  # they are written when Redis is back
        elif answer == b"lost" and log.kept is not None and self.logs.get(log.meta.id) is log:
            self._restore(log, log.kept)
        elif answer == b"lost":
            id = log.meta.id  # nothing is left half there
            self.later(ERASE.command(names.keys(id), id, self._channels.news(id), names.CLAIMS))
            self._lose(log, "Redis has lost it")
        else:
            self._lose(log, "this worker stood still, and another one ended it")

    def _restore(self, log: Log, kept: bytearray) -> None:
        """Redis was emptied, or has an older state: it gets the whole log anew."""
        if not log.restoring:
            log.restoring = True
            id, meta, claim = log.meta.id, log.meta, [] if log.meta.claim is None else [log.meta.claim]
            what = (id, encode(meta), meta.worker, self.lifetime, names.CLAIMS, self._channels.news(id))
            command = RESTORE.command(names.keys(id), *what, log.epoch, log.written, bytes(kept), *claim)
            self._link.post(command, partial(self._restored, log))

    def _restored(self, log: Log, answer: Any) -> None:
        log.restoring = False
        if answer == b"ok":
            self._send(log, again=True)
        else:
            log.kept = log.kept if isinstance(answer, Away) else None
            self._refused(log, answer)

    def _lose(self, log: Log, why: str) -> None:
        self.logs.pop(log.meta.id, None)
        unwritten, log.unwritten = log.unwritten, []
        for entry in unwritten:
            entry.tell(StoreLost(f"stream {log.meta.id} can't go on: {why}"))
