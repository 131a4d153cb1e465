"""The other workers: who follows whose streams, and what they tell each other. One protocol for all stores.

A message is text, `word worker id id …`, `worker` being who says it. Its words: `news` (look at the log), `join` and
`leave` (somebody follows here, nobody does any more), `all` (the list of what is followed here), `stop`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

import gevent

from millstream.errors import NotFound
from millstream.stores import Inbox, Word
from millstream.stores.followers import Followers
from millstream.stores.watches import Watches

# s behind a stop: Redis drops it while its reader subscribes anew, and an answer that goes on is paid for. What was
# stopped is not stopped twice.
AGAIN = 1.0, 5.0, 15.0

_WORKER = re.compile(r"[0-9]+-[0-9a-f]{8}")
_logger = logging.getLogger(__name__)


def message(word: str, worker: str, ids: Iterable[str]) -> bytes:
    return " ".join((word, worker, *ids)).encode()


class Neighbours:
    """`say(worker, word, id)` brings a word to another worker, without blocking. `owns(id)`: the stream runs here;
    `owner(id)` gives the worker that it belongs to, or raises NotFound."""

    def __init__(
        self, say: Callable[[str, str, str], None], owns: Callable[[str], bool], owner: Callable[[str], str]
    ) -> None:
        self.worker = ""
        self.watches = Watches(lambda owner, id: say(owner, "join", id), lambda owner, id: say(owner, "leave", id))
        self.followers = Followers()
        self._say = say
        self._owns = owns
        self._owner = owner
        self._inbox: Inbox | None = None

    def start(self, worker: str, inbox: Inbox) -> None:
        self.worker, self._inbox = worker, inbox

    def close(self) -> None:
        self._inbox = None

    def watch(self, id: str, wake: Callable[[], None]) -> Callable[[], None]:
        return self.watches.add(id, self._owner(id), wake)

    def tell(self, id: str, word: Word) -> None:
        try:
            owner = self.worker if self._owns(id) else self._owner(id)
        except NotFound:
            return
        if owner == self.worker:
            self._pass_on(owner, id, word)
        else:
            self._say(owner, word, id)
            for seconds in AGAIN if word == "stop" else ():
                gevent.spawn_later(seconds, self._stop_again, owner, id)

    def _stop_again(self, owner: str, id: str) -> None:
        if self._inbox:
            self._say(owner, "stop", id)

    def heard(self, said: bytes) -> None:
        word, _, rest = said.decode("ascii", "replace").partition(" ")
        worker, *ids = rest.split(" ")
        if not _WORKER.fullmatch(worker):
            return
        if word == "all":
            for id in set(self.followers.streams(worker)) - set(ids):
                self.left(worker, id)
        for id in filter(None, ids):
            if word == "news":
                self.watches.news(id)
            elif word == "stop":
                self._pass_on(worker, id, "stop")
            elif word in ("join", "all"):
                if word == "join":  # events before the join were not announced
                    self._say(worker, "news", id)
                if self._owns(id) and self.followers.add(worker, id):
                    self._pass_on(worker, id, "join")
            elif word == "leave":
                self.left(worker, id)

    def left(self, worker: str, id: str) -> None:
        if self.followers.remove(worker, id) and self._owns(id):
            self._pass_on(worker, id, "leave")

    def died(self, worker: str) -> None:
        for id in self.followers.streams(worker):
            self.left(worker, id)
        for id in self.watches.by_owner().get(worker, ()):
            self.watches.news(id)

    def _pass_on(self, worker: str, id: str, word: Word) -> None:
        try:
            if self._inbox:
                self._inbox(worker, id, word)
        except Exception:  # an error in one stream must not stop this worker from listening
            _logger.exception("the inbox failed on %s", word)
