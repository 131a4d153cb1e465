"""The other workers of all machines: how words come to them, and who is dead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic

import gevent

from millstream.stores import Inbox
from millstream.stores.neighbours import Neighbours, message
from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.owners import TICK, Owners
from millstream.stores.redis.pipe import Away

BEAT = 10_000  # ms that a beat is kept; only then are the rows looked for that a dead worker has not written
STOP = 5.0  # s for which a stop is repeated: its owner may just be reconnecting
SYNC = 10  # ticks between two lists of all that is followed
FORGET = 60.0  # s for which a suspect is looked at

_logger = logging.getLogger(__name__)


class Machines(Neighbours):
    """Words are hints that may be lost while a connection is made anew; so each worker tells each owner every few
    seconds which of its streams are followed there."""

    def __init__(
        self, link: Link, channels: names.Channels, owns: Callable[[str], bool], owner: Callable[[str], str]
    ) -> None:
        super().__init__(self._bring, owns, owner)
        self._link = link
        self._channels = channels
        self._owners = Owners()
        self._suspects: dict[str, float] = {}  # owners of streams that nobody watches here, and until when
        self._told: set[str] = set()  # the owners that the last list went to
        self._stops: dict[tuple[str, str], float] = {}  # until when each is repeated
        self._beats = 0
        self._ticker: gevent.Greenlet | None = None

    def start(self, worker: str, inbox: Inbox) -> None:
        super().start(worker, inbox)
        self._ticker = gevent.spawn(self._tick)

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = None
            super().close()
            try:
                self._link.call("DEL", names.beat(self.worker))  # good-bye: what runs here can be seized at once
            except Away:
                _logger.debug("no good-bye: Redis is away")

    def back(self) -> None:
        """Redis can be asked again; what was said meanwhile was not heard."""
        self._owners.connected(monotonic(), again=self._beats > 0)
        self._beat()
        for id in self.watches.ids():
            self._link.listen("SUBSCRIBE", self._channels.news(id))  # that it has begun wakes who watches
        self._sync()

    # Words

    def _bring(self, worker: str, word: str, id: str) -> None:
        if word == "join":
            self._link.listen("SUBSCRIBE", self._channels.news(id))
        elif word == "leave":
            self._link.listen("UNSUBSCRIBE", self._channels.news(id))
        elif word == "stop":
            self._stops[worker, id] = monotonic() + STOP
        if word != "news" and worker != self.worker:  # the subscription brings those
            self._publish(worker, word, [id])

    def _publish(self, worker: str, word: str, ids: Iterable[str]) -> None:
        self._link.post(("PUBLISH", self._channels.words(worker), message(word, self.worker, ids)))

    def _sync(self) -> None:
        following = self.watches.by_owner()
        following.pop(self.worker, None)
        for owner in self._told | following.keys():  # once more to those whose last stream was left
            self._publish(owner, "all", following.get(owner, ()))
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
        """The workers among these that said good-bye, or died long ago. Raises Away."""
        found = self.look(workers)
        settled = self.settled
        return {worker for worker, connected, beat in found if settled and not connected and beat is None}

    @property
    def settled(self) -> bool:
        """True if every living worker has had the time to connect again."""
        return self._owners.settled(monotonic())

    def look(self, workers: Iterable[str]) -> list[tuple[str, bool, bytes | None]]:
        """Return for each worker whether it is connected, and its heartbeat. Raises Away."""
        asked = [worker for worker in workers if worker != self.worker]
        if not asked:
            return []
        found = self._link.call("PUBSUB", "NUMSUB", *(self._channels.words(worker) for worker in asked), read=True)
        beats = self._link.call("MGET", *(names.beat(worker) for worker in asked), read=True)
        return list(zip(asked, (bool(count) for count in found[1::2]), beats, strict=True))

    def _beat(self) -> None:
        self._beats += 1
        self._link.post(("SET", names.beat(self.worker), self._beats, "PX", BEAT))
        self._link.listen("PING")

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
                _logger.exception("the other workers could not be checked")

    def _look(self) -> None:
        now = monotonic()
        self._suspects = {worker: until for worker, until in self._suspects.items() if until > now}
        others = self.watches.by_owner().keys() | self.followers.workers() | self._suspects.keys()
        found = self.look(others)
        for worker in self._owners.look(monotonic(), found):
            self.died(worker)

    def _repeat_stops(self) -> None:
        now = monotonic()
        self._stops = {stop: until for stop, until in self._stops.items() if until > now}
        for owner, id in self._stops:
            self._publish(owner, "stop", [id])
