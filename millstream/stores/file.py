"""Streams kept in a directory that all workers of one machine share; they survive a worker."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from millstream.errors import NotFound, Unavailable
from millstream.events import TERMINAL, Event, Meta
from millstream.stores import Inbox, StoreLost, Then, at_once
from millstream.stores.claims import Claims
from millstream.stores.directory import private
from millstream.stores.disk import OWN, erase
from millstream.stores.doorbell import Doorbell
from millstream.stores.log import Log, Tail, header
from millstream.stores.memory import worker_name
from millstream.stores.neighbours import Neighbours
from millstream.stores.reader import FileReader
from millstream.stores.room import FRESH, Room, expired, files, not_later
from millstream.stores.spares import Spares
from millstream.stores.turns import in_turns

TICK = 0.5  # s; a dead owner is noticed within two of them

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_logger = logging.getLogger(__name__)


class FileStore:
    """`DIR/{id}.log` is a stream, `DIR/claims/…` an Idempotency-Key, `DIR/{worker}.sock` a doorbell."""

    belated = 0.0

    def __init__(self, directory: Path, ttl: float, size: int = 0) -> None:
        """`size` is what all logs may take together, in bytes, and 0 as much as the disk has."""
        private(directory)
        self.worker = worker_name()
        self._directory = directory.resolve()  # all workers must agree on one name for it
        self._prefix = f"{self._directory}/"  # a Path for each log costs more than opening its file
        self._ttl = ttl
        self._spares = Spares(f"{self._prefix}{self.worker}")
        self._logs, self._tails = dict[str, Log](), dict[str, Tail]()  # of what is owned and runs
        self._room = Room(self._directory, size, partial(expired, remove=True))
        self._claims = Claims(self._directory / "claims", self._holder)
        self.point, self.pointed = self._claims.put, self._claims.find
        self._neighbours = Neighbours(self._say, self._logs.__contains__, lambda id: self.meta(id).worker)
        self._watches, self._followers = self._neighbours.watches, self._neighbours.followers
        self.watch, self.tell = self._neighbours.watch, self._neighbours.tell
        self._sizes: dict[str, int | None] = {}  # of the logs that are watched
        self._bell: Doorbell | None = None
        self._ticker: Any = None
        self._warned = False

    def start(self, inbox: Inbox) -> None:
        if not self.worker.startswith(f"{os.getpid()}-"):  # made before the fork: the siblings have the same name
            self.worker = worker_name()
            self._spares = Spares(f"{self._prefix}{self.worker}")
        self._neighbours.start(self.worker, inbox)
        if hasattr(socket, "AF_UNIX"):  # where it lacks there is one process alone
            self._bell = Doorbell(self._directory, self.worker, self._neighbours.heard, self._neighbours.died)
        self._ticker = gevent.spawn(self._tick)

    def close(self) -> None:
        """Close the store. Others may seize the streams that still run."""
        if self._ticker:
            gevent.kill(self._ticker)
            self._ticker = None
        if self._bell:
            self._bell.close()
            self._bell = None
        self._neighbours.close()
        self._spares.close()
        while self._logs:
            self._logs.popitem()[1].close()

    @property
    def away(self) -> bool:
        return self._room.full

    # Logs

    def create(self, meta: Meta) -> Meta:
        name = self._name(meta.id)
        if self._room.full:
            raise _no_room()
        try:
            log = Log.create(name, meta, self._spares)
            try:
                older = self._claims.take(meta.claim, meta.id) if meta.claim is not None else None
            except OSError:
                erase(Path(name), log.fd)
                raise
        except OSError as error:
            _logger.warning("a stream could not be created in %s: %s", self._directory, error)
            self._room.refuse()
            raise _no_room() from error
        if older:
            erase(Path(name), log.fd)
            return older
        self._logs[meta.id] = log
        return meta

    def meta(self, id: str) -> Meta:
        fd = self._open(id)
        try:
            return header(fd)[0]
        finally:
            os.close(fd)

    def append(self, id: str, batch: list[Event], then: Then | None = None) -> int:
        return at_once(self._append, id, batch, then)

    def _append(self, id: str, batch: list[Event]) -> int:
        log = self._logs.get(id)
        if log is None:
            raise StoreLost(f"stream {id} has ended, is erased or another worker's; nothing can be added to it")
        before = log.size
        position = log.append(batch)
        self._room.add(log.size - before)
        if log.tail is not None and id not in self._tails:
            self._tails[id] = log.tail
            self._room.refuse()
            self._warn(log)
        followers = self._followers.of(id)
        if batch and batch[-1].type in TERMINAL:
            self._disown(id)
        for worker in followers:
            self._say(worker, "news", id)
        self._watches.news(id)
        return position

    def reader(self, id: str, after: int = 0) -> FileReader:
        name = self._name(id)
        if not os.access(name, os.F_OK):
            raise NotFound
        return FileReader(name, id, self._tails, after)

    def seize(self, id: str) -> bool:
        # A stream of this worker that ended in memory is complete here, though its file has no end.
        if id in self._logs or id in self._tails:
            return False
        log = Log.seize(self._path(id))
        if log is None:
            return False
        self._logs[id] = log
        return True

    def orphans(self) -> list[str]:
        found = []
        dead = {self.worker: False}
        for entry in files(self._directory, ".log"):
            id = entry.name.removesuffix(".log")
            try:
                worker = self.meta(id).worker
            except (NotFound, OSError):
                continue
            if worker not in dead:
                dead[worker] = self._ticker is not None and not self._alive(worker)
            if dead[worker]:
                found.append(id)
        return found

    def release(self, id: str) -> None:
        try:
            claim = self.meta(id).claim
        except NotFound:
            return
        if claim is not None:
            self._claims.drop(claim, id)

    def delete(self, id: str) -> None:
        self.release(id)
        self._disown(id)
        self._tails.pop(id, None)
        erase(self._path(id))
        self._watches.news(id)

    def sweep(self, now: float) -> int:
        since = now - self._ttl
        erased = 0
        for entry in files(self._directory, ".log"):
            not_later(entry, now)
            erased += expired(Path(entry.path), since, remove=True)
        for entry in files(self._directory, ".spare"):  # a dead worker's
            expired(Path(entry.path), now - FRESH, remove=True)
        self._room.look()
        for id in [id for id in self._tails if not self._path(id).exists()]:
            del self._tails[id]
        self._claims.sweep()
        if self._bell:
            self._bell.sweep()
        return erased

    # Workers

    def _say(self, worker: str, word: str, id: str) -> None:
        if self._bell and worker != self.worker:
            self._bell.say(worker, word, id)

    def _alive(self, worker: str) -> bool:
        return self._bell is not None and self._bell.alive(worker)

    def _tick(self) -> None:
        while True:
            self._spares.fill()
            gevent.sleep(TICK)
            self._look()
            if self._room.crowded:
                gevent.spawn(self._room.look)

    def _look(self) -> None:
        for worker in self._watches.by_owner().keys() - {self.worker} | self._followers.workers():
            if not self._alive(worker):
                self._neighbours.died(worker)
        before, self._sizes = self._sizes, {}
        for id in in_turns(self._watches.ids()):
            self._sizes[id] = _size(self._name(id))
            if self._sizes[id] != before.get(id, -1):  # a ring may have been lost
                self._watches.news(id)

    # Files

    def _name(self, id: str) -> str:
        if not _ID.fullmatch(id):
            raise NotFound
        return f"{self._prefix}{id}.log"

    def _path(self, id: str) -> Path:
        return Path(self._name(id))

    def _open(self, id: str) -> int:
        try:
            return os.open(self._name(id), os.O_RDONLY | OWN)
        except FileNotFoundError:
            raise NotFound from None

    def _disown(self, id: str) -> None:
        log = self._logs.pop(id, None)
        if log is not None:
            log.close()
            self._followers.end(id)

    def _holder(self, id: str) -> Meta | None:
        """The Meta of a log that still counts."""
        try:
            return None if expired(self._path(id), time.time() - self._ttl) else self.meta(id)
        except NotFound:
            return None

    def _warn(self, log: Log) -> None:
        if not self._warned:
            self._warned = True
            says = "%s can't be written (%s): answers go on in memory for this worker's clients; free some space"
            _logger.warning(says, self._directory, log.error or "disk full")


def _no_room() -> Unavailable:
    return Unavailable("store_unavailable", "There is no room for a new stream now; try again.")


def _size(name: str) -> int | None:
    try:
        return os.stat(name).st_size  # noqa: PTH116 (a Path for each costs more than the call)
    except OSError:
        return None
