"""Streams kept in Redis (6 or newer) or Valkey, shared by the workers of several machines."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from gevent.event import AsyncResult
from redis import RedisError

from millstream.errors import MillstreamError, NotFound, Unavailable
from millstream.events import Event, Meta
from millstream.stores import Inbox, StoreLost, Then
from millstream.stores.memory import worker_name
from millstream.stores.redis import names
from millstream.stores.redis.address import Address
from millstream.stores.redis.link import Link
from millstream.stores.redis.log import Log
from millstream.stores.redis.machines import Machines
from millstream.stores.redis.owners import SETTLE
from millstream.stores.redis.pipe import Away
from millstream.stores.redis.reader import RedisReader
from millstream.stores.redis.scripts import CREATE, ERASE, RELEASE, SEIZE
from millstream.stores.redis.sweeping import orphans, sweep
from millstream.stores.redis.writer import Writer, encode

VOID = 5.0  # s after which a seizure that was not followed by the end counts for nothing

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_logger = logging.getLogger(__name__)
_meta = msgspec.json.Decoder(Meta)


class RedisStore:
    """The store in Redis. No method waits while Redis is unavailable: `create` and reads of other workers' streams
    raise Unavailable. `append` keeps events in memory and writes them when Redis is back."""

    belated = 1.9

    def __init__(self, url: str, ttl: float) -> None:
        self.worker = worker_name()
        self._address = Address(url)
        self._channels = names.Channels(self._address.database)
        self._ttl = ttl
        self._link = Link(self._address, self._back, self._heard)
        self._writer = Writer(self._link, self._channels, ttl)
        self._neighbours = Machines(self._link, self._channels, self._runs, lambda id: self.meta(id).worker)
        self._watches = self._neighbours.watches
        self.watch, self.tell = self._neighbours.watch, self._neighbours.tell

    def check(self) -> None:
        """Asks Redis once. Raises SettingError for what no waiting mends."""
        try:
            self._address.check()
        except (RedisError, OSError) as error:
            _logger.warning("Redis at %s can't be reached yet (%s)", self._address.shown, error)

    @property
    def away(self) -> bool:
        return self._link.away

    def start(self, inbox: Inbox) -> None:
        if not self.worker.startswith(f"{os.getpid()}-"):  # made before the fork: the siblings have the same name
            self.worker = worker_name()
        self._neighbours.start(self.worker, inbox)
        self._link.start(self._channels.words(self.worker))

    def close(self) -> None:
        """Close the store. Others may seize the streams that still run."""
        self._writer.flush()
        self._neighbours.close()
        self._link.close()

    def _back(self) -> None:
        self._writer.back()
        self._neighbours.back()

    def _heard(self, channel: str, message: bytes | None) -> None:
        id = self._channels.id(channel)
        if id is not None:
            self._watches.news(id, message)
        elif message:
            self._neighbours.heard(message)

    # Logs

    def create(self, meta: Meta) -> Meta:
        if meta.claim is not None and self._emptied:
            raise self._absent()  # its owner may still have to write it anew
        self._writer.logs[meta.id] = Log(meta)
        claim = [] if meta.claim is None else [meta.claim]
        try:
            answer, *older = self._link.call(
                *CREATE.command(
                    names.keys(meta.id),
                    *(meta.id, encode(meta), self.worker, self._writer.lifetime, names.LOGS, names.CLAIMS, *claim),
                )
            )
        except BaseException:
            del self._writer.logs[meta.id]
            self._writer.undo(meta)  # it may be made all the same, and nobody would ever end it
            raise
        if answer == b"made":
            return meta
        del self._writer.logs[meta.id]
        if not older:
            raise Away  # it was undone before it was made
        return _meta.decode(older[0])

    def point(self, name: str, id: str) -> None:
        self._ask("SET", names.NAMES + name, id, "PX", self._writer.lifetime)

    def pointed(self, name: str, *, take: bool = False) -> str | None:
        found = self._ask("GET", names.NAMES + name)
        if found is None or (take and not self._ask("DEL", names.NAMES + name)):  # somebody else took it
            return None
        id: str = found.decode()
        return id if self._ask("EXISTS", names.log(id)) else None

    def meta(self, id: str) -> Meta:
        log = self._writer.logs.get(id)
        if log and self.away:
            return log.meta
        found = self._ask("XRANGE", names.log(_checked(id)), "1-0", "1-0")  # another worker may have erased it
        if not found:
            raise self._absent()
        return _meta.decode(found[0][1][1])

    def append(self, id: str, batch: list[Event], then: Then | None = None) -> int:
        if then is None:
            logged = AsyncResult()
            self.append(id, batch, logged.set)
            position: int | StoreLost = logged.get()
            if isinstance(position, StoreLost):
                raise position
            return position
        log = self._writer.logs.get(id)
        if log is None or log.ended:
            then(StoreLost(f"stream {id} has ended, is erased or another worker's; nothing can be added to it"))
        else:
            self._writer.append(log, batch, partial(self._appended, id, then))
        return 0

    def _appended(self, id: str, then: Then, position: int | StoreLost) -> None:
        then(position)
        self._watches.news(id)

    def reader(self, id: str, after: int = 0) -> RedisReader:
        held = id in self._writer.logs and self.away
        if not held and not self._ask("EXISTS", names.log(_checked(id))):
            raise self._absent()
        return RedisReader(id, self._link, self._writer.logs, self._watches, self._absent, after)

    def seize(self, id: str) -> bool:
        if log := self._writer.logs.get(id):
            # This worker seized the stream but could not write its end: try again.
            return log.seized is not None and time.monotonic() - log.seized > VOID
        owner = self._watches.owner(id)
        if self.away or not _ID.fullmatch(id) or (owner and not self._neighbours.dead(owner)):
            return False
        try:
            meta = self.meta(id)
            found = self._seize(id, self._neighbours.all_dead())
            if isinstance(found, bytes) and (gone := self._neighbours.gone([found.decode()])):
                found = self._seize(id, gone)
        except (NotFound, Unavailable):
            return False
        if isinstance(found, list):
            epoch, n = found
            self._writer.logs[id] = Log(meta, epoch.decode(), int(n), time.monotonic())
            return True
        if found:
            self._neighbours.suspect(found.decode())
        return False

    def _seize(self, id: str, dead: Iterable[str]) -> Any:
        return self._link.call(*SEIZE.command([names.log(id)], self.worker, int(VOID * 1000), *dead))

    def orphans(self) -> list[str]:
        return orphans(self._link, self._neighbours)

    def release(self, id: str) -> None:
        if _ID.fullmatch(id):
            self._writer.later(RELEASE.command([names.log(id)], id, names.CLAIMS))

    def delete(self, id: str) -> None:
        if not _ID.fullmatch(id):
            return
        self._writer.logs.pop(id, None)
        self._ask(*ERASE.command(names.keys(id), id, self._channels.news(id), names.CLAIMS))
        self._watches.news(id)

    def sweep(self, now: float) -> int:
        self._writer.refresh()
        try:
            return sweep(self._link, self._channels, self._neighbours, now - time.time() - self._ttl)
        except Away:
            return 0

    @property
    def _emptied(self) -> bool:
        """Redis has lost all it had a moment ago: the owners of running streams write those anew."""
        return time.monotonic() - self._link.emptied < SETTLE

    def _absent(self) -> MillstreamError:
        return Away("it was emptied, and owners may still write anew what runs") if self._emptied else NotFound()

    def _runs(self, id: str) -> bool:
        log = self._writer.logs.get(id)
        return log is not None and not log.ended

    def _ask(self, *command: object) -> Any:
        return self._link.call(*command, read=command[0] in ("XRANGE", "EXISTS"))


def _checked(id: str) -> str:
    if not _ID.fullmatch(id):
        raise NotFound
    return id
