"""This worker's three connections to Redis. If one breaks, all three are replaced."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from redis import exceptions
from redis.connection import AbstractConnection

from millstream.stores.redis import names
from millstream.stores.redis.address import LIMIT, Address
from millstream.stores.redis.listener import Listener, Verb
from millstream.stores.redis.pipe import Away, Heard, Pipe
from millstream.stores.redis.scripts import ALL

AT_ONCE = 100  # commands of one pipeline of `calls`
TURN = 0.001  # s for other greenlets and sockets after each pipeline
RETRY = 0.2  # s between two tries to connect

_logger = logging.getLogger(__name__)


class Link:
    """One connection for writing, one for reading, and one that listens, for any number of streams and followers.
    Separate connections keep reads of long logs from delaying short writes.

    `back()` is called each time Redis becomes available, before any other command; `heard` is the Listener's
    callback. While Redis is unavailable, no call waits for it.
    """

    def __init__(
        self, address: Address, back: Callable[[], None], heard: Callable[[str, bytes | None], None]
    ) -> None:
        self.up = False
        self.emptied = float("-inf")  # when a new era was seen, by the monotonic clock
        self._era = b""
        self._address = address
        self._back = back
        self._heard = heard
        self._tried = Event()  # the first try to connect is over
        self._broken: AsyncResult = AsyncResult()
        self._pipes: dict[bool, Pipe] = {}  # [True] reads
        self._listener: Listener | None = None
        # The one before, deaf but open until there is another: to Redis, and so to all others, this process lives on.
        self._former: Listener | None = None
        self._said_away = False
        self._closed = False

    @property
    def away(self) -> bool:
        """A worker that has just begun, and is connecting, is not."""
        return self._tried.is_set() and not self.up

    def start(self, channel: str) -> None:
        """`channel` is listened to before `back` is called."""
        gevent.spawn(self._keep, channel)

    def close(self) -> None:
        """Close the connections. One that is still being made is closed as soon as it is there: redis-py leaves its
        socket open where the greenlet is killed."""
        self._closed = True
        self._disconnect(self.fail("this worker leaves"))
        if self._former:
            self._former.close()

    def call(self, *command: object, read: bool = False) -> Any:
        """The answer. Raises Away, also where the connection has brought nothing for LIMIT."""
        if not self.up and not self._tried.wait(LIMIT):
            raise Away("the connection is still being made")
        answer: AsyncResult = AsyncResult()
        self.post(command, answer.set, read=read)
        heard = answer.get()  # without a limit of its own: this worker may be busy, and Redis well
        if isinstance(heard, Away):
            raise Away(heard.why)  # several greenlets may wait for the same answer
        return heard

    def calls(self, commands: Iterable[tuple[object, ...]], *, read: bool = False) -> Iterator[Any]:
        """The answers, asked for in pipelines: a round trip for each of 10,000 streams takes seconds. Raises Away."""
        waiting = iter(commands)
        while some := list(islice(waiting, AT_ONCE)):
            answers: list[AsyncResult] = []
            for command in some:
                answers.append(AsyncResult())
                self.post(command, answers[-1].set, read=read)
            for answer in answers:
                if isinstance(heard := answer.get(), Away):
                    raise Away(heard.why)
                yield heard
            gevent.sleep(TURN)

    def post(self, command: tuple[object, ...], heard: Heard = lambda _: None, *, read: bool = False) -> None:
        """Send a command. Never blocks. `heard` gets the answer or an Away; it must neither block nor raise."""
        if self.up:
            self._pipes[read].post(command, heard)
        else:
            heard(Away("Redis is away"))

    def listen(self, verb: Verb, channel: str = "") -> None:
        """Subscribe to a channel, or unsubscribe. Never blocks."""
        if self._listener:
            self._listener.say(verb, channel)

    def fail(self, why: object) -> Away:
        """Gives the connections up."""
        self._broken.set(why)
        return Away(why)

    def _keep(self, channel: str) -> None:
        while not self._closed:
            try:
                self._connect(channel)
            except (Away, exceptions.RedisError, OSError) as error:
                if self._closed:
                    return
                self._disconnect(self._away(error))
                self._tried.set()
                gevent.sleep(RETRY)
                continue
            self.up = True
            self._tried.set()
            self._back()
            if self._said_away:
                self._said_away = False
                _logger.warning("Redis at %s is back", self._address.shown)
            why = self._broken.get()
            if not self._closed:
                self._disconnect(self._away(why))

    def _connect(self, channel: str) -> None:
        self._broken = AsyncResult()
        made: list[AbstractConnection] = []
        try:
            for _ in range(3):
                made.append(self._address.connect())
            writer, reader, listener = made
            # The last call shows that Redis accepts writes; a replica or a full Redis does not.
            asked = [*(("SCRIPT", "LOAD", script.text) for script in ALL), ("SET", channel, "", "PX", 1)]
            asked += [("SET", names.ERA, secrets.token_hex(8), "NX"), ("GET", names.ERA)]
            writer.send_packed_command(writer.pack_commands(asked))
            *_, era = [writer.read_response() for _ in asked]
            listener.send_command("SUBSCRIBE", channel)
            listener.read_response()
            if self._closed:
                raise Away("this worker leaves")
        except BaseException:
            for connection in made:
                connection.disconnect()
            raise
        broken = self._broken.set  # bound to these connections: a late error must not break the next ones
        if self._era not in (b"", era):
            self.emptied = monotonic()
        self._era = era
        self._pipes = {False: Pipe(writer, broken), True: Pipe(reader, broken)}
        former, self._former = self._former, None
        self._listener = Listener(listener, self._heard, broken)
        if former:
            former.close()

    def _away(self, why: object) -> Away:
        if not self._said_away:
            self._said_away = True
            _logger.warning(
                "Redis at %s is away (%s): new streams are refused, running ones go on in memory for the clients of"
                " this worker; trying again",
                self._address.shown,
                why,
            )
        return Away(why)

    def _disconnect(self, why: Away) -> None:
        self.up = False
        if self._listener:
            self._listener.cease()
            self._former, self._listener = self._listener, None
        pipes, self._pipes = self._pipes, {}
        for pipe in pipes.values():
            pipe.close(why)
