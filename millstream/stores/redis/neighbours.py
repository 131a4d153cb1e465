"""The other workers: who follows whose streams, what they tell each other, and who is dead."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from time import monotonic

import gevent

from millstream.stores import Inbox, Word
from millstream.stores.followers import Followers
from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.log import Log
from millstream.stores.redis.owners import TICK, Owners
from millstream.stores.redis.pipe import Away
from millstream.stores.redis.watches import Watches

BEAT = 10_000  # ms that a beat is kept; only then are the rows looked for that a dead worker has not written
STOP = 5.0  # s for which a stop is repeated that nobody heard: its owner may just be reconnecting
SYNC = 10  # ticks between two lists of all that is followed
FORGET = 60.0  # s for which a suspect is looked at

_logger = logging.getLogger(__name__)


class Neighbours:
    """Words are hints that may be lost while a connection is made anew; so each worker tells each owner every few
    seconds which of its streams are followed there."""

    def __init__(self, link: Link, channels: names.Channels, logs: Mapping[str, Log]) -> None:
        self.watches = Watches(first=self._first, last=self._last)
        self._link = link
        self._channels = channels
        self._logs = logs
        self._followers = Followers()
        self._owners = Owners()
        self._suspects: dict[str, float] = {}  # owners of streams that nobody watches here, and until when
        self._told: set[str] = set()  # the owners that the last list went to
        self._stops: dict[tuple[str, str], float] = {}  # not heard yet, and until when they are repeated
        self._beats = 0
        self._worker = ""
        self._inbox: Inbox | None = None
        self._ticker: gevent.Greenlet | None = None

    def start(self, worker: str, inbox: Inbox) -> None:
        self._worker, self._inbox = worker, inbox
        self._ticker = gevent.spawn(self._tick)

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = self._inbox = None
            try:
                self._link.call("DEL", names.beat(self._worker))  # good-bye: what runs here can be seized at once
            except Away:
                _logger.debug("no good-bye: Redis is away")

    def back(self) -> None:
        """Redis can be asked again; what was said meanwhile was not heard."""
        self._owners.connected(monotonic(), again=self._beats > 0)
        self._beat()
        for ids in self.watches.by_owner().values():
            for id in ids:
                self._link.subscribe(self._channels.news(id))  # that it has begun wakes who watches
        self._sync()

    # Words

    def tell(self, owner: str, word: Word, id: str) -> None:
        if owner == self._worker:
            self._pass_on(owner, id, word)
        elif word == "stop":
            self._stops[owner, id] = monotonic() + STOP
            self._stop(owner, id)
        else:
            self._say(owner, word, [id])

    def heard(self, message: bytes) -> None:
        word, worker, *ids = message.decode("ascii", "replace").split(" ")
        if word == "all":
            for id in set(self._followers.streams(worker)) - set(ids):
                self._leave(worker, id)
        for id in filter(None, ids):
            if word == "stop":
                gevent.spawn(self._pass_on, worker, id, "stop")  # ending a stream may wait for Redis; this must not
            elif word in ("join", "all"):
                if id in self._logs and not self._logs[id].ended and self._followers.add(worker, id):
                    self._pass_on(worker, id, "join")
            elif word == "leave":
                self._leave(worker, id)

    def _leave(self, worker: str, id: str) -> None:
        if self._followers.remove(worker, id) and id in self._logs:
            self._pass_on(worker, id, "leave")

    def _pass_on(self, worker: str, id: str, word: Word) -> None:
        try:
            if self._inbox:
                self._inbox(worker, id, word)
        except Exception:  # one stream's fault must not make this worker deaf
            _logger.exception("the inbox failed on %s", word)

    def _say(self, worker: str, word: str, ids: Iterable[str]) -> None:
        self._link.post(("PUBLISH", self._channels.words(worker), " ".join((word, self._worker, *ids))))

    def _stop(self, owner: str, id: str) -> None:
        def heard(receivers: object) -> None:
            if isinstance(receivers, int) and receivers:
                self._stops.pop((owner, id), None)

        self._link.post(("PUBLISH", self._channels.words(owner), f"stop {self._worker} {id}"), heard)

    def _first(self, owner: str, id: str) -> None:
        self._link.subscribe(self._channels.news(id))
        if owner != self._worker:
            self._say(owner, "join", [id])

    def _last(self, owner: str, id: str) -> None:
        self._link.unsubscribe(self._channels.news(id))
        if owner != self._worker:
            self._say(owner, "leave", [id])

    def _sync(self) -> None:
        following = self.watches.by_owner()
        following.pop(self._worker, None)
        for owner in self._told | following.keys():  # once more to those whose last stream was left
            self._say(owner, "all", following.get(owner, ()))
        self._told = set(following)

    # Life and death

    def dead(self, worker: str) -> bool:
        return self._owners.dead(worker)

    def all_dead(self) -> tuple[str, ...]:
        """Looks once more: one that has just come back may have begun new streams already. Raises Away."""
        return self._owners.silent(self.look(self._owners.all_dead()))

    def suspect(self, worker: str) -> None:
        """Looks at it from now on, though nobody watches a stream of it here."""
        self._suspects[worker] = monotonic() + FORGET

    def gone(self, workers: Iterable[str]) -> set[str]:
        """Those of them that said good-bye, or died long ago. Raises Away."""
        found = self.look(workers)
        settled = self._owners.settled(monotonic())
        return {worker for worker, connected, beat in found if settled and not connected and beat is None}

    def look(self, workers: Iterable[str]) -> list[tuple[str, bool, bytes | None]]:
        """For each other worker whether it is connected, and its beat. Raises Away."""
        asked = [worker for worker in workers if worker != self._worker]
        if not asked:
            return []
        found = self._link.call("PUBSUB", "NUMSUB", *(self._channels.words(worker) for worker in asked), read=True)
        beats = self._link.call("MGET", *(names.beat(worker) for worker in asked), read=True)
        return list(zip(asked, (bool(count) for count in found[1::2]), beats, strict=True))

    def _beat(self) -> None:
        self._beats += 1
        self._link.post(("SET", names.beat(self._worker), self._beats, "PX", BEAT))
        self._link.ping()

    def _tick(self) -> None:
        ticks = 0
        while True:
            gevent.sleep(TICK)
            ticks += 1
            if not self._link.up:
                continue
            try:
                self._beat()
                self._look()
                if ticks % SYNC == 0:
                    self._sync()
                self._repeat_stops()
            except Away:
                continue
            except Exception:
                _logger.exception("the other workers could not be looked after")

    def _look(self) -> None:
        now = monotonic()
        self._suspects = {worker: until for worker, until in self._suspects.items() if until > now}
        others = self.watches.by_owner().keys() | self._followers.workers() | self._suspects.keys()
        found = self.look(others)
        for worker in self._owners.look(monotonic(), found):
            for id in self._followers.streams(worker):
                self._leave(worker, id)
            self.watches.wake(self.watches.by_owner().get(worker, ()))

    def _repeat_stops(self) -> None:
        now = monotonic()
        self._stops = {stop: until for stop, until in self._stops.items() if until > now}
        for owner, id in self._stops:
            self._stop(owner, id)
