"""The connection on which this worker hears news and words: https://redis.io/docs/latest/develop/pubsub/"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import gevent
from gevent.event import Event
from redis import exceptions
from redis.connection import AbstractConnection

CHANNELS = 200  # in one command
Verb = Literal["SUBSCRIBE", "UNSUBSCRIBE", "PING"]


class Listener:
    """`heard(channel, message)` is called for each message, and with None when a subscription has begun: what came
    before it has to be looked for. It must neither block nor raise."""

    def __init__(
        self,
        connection: AbstractConnection,
        heard: Callable[[str, bytes | None], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._heard = heard
        self._broken = broken
        self._unsaid: deque[tuple[Verb, str]] = deque()  # with the channel
        self._ready = Event()
        self._greenlets = [gevent.spawn(self._guarded, work) for work in (self._listen, self._say)]

    def say(self, verb: Verb, channel: str) -> None:
        """Send a command. Never blocks. The answer to a PING shows that the connection still works; PING needs a
        subscribed channel."""
        self._unsaid.append((verb, channel))
        self._ready.set()

    def cease(self) -> None:
        """Stop listening and sending."""
        for greenlet in self._greenlets:
            greenlet.kill(block=False)

    def close(self) -> None:
        self.cease()
        self._connection.disconnect()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (exceptions.RedisError, OSError, ValueError) as error:  # ValueError: closed under a read
            self._broken(error)

    def _listen(self) -> None:
        silent = False
        while True:
            try:
                answer: Any = self._connection.read_response(disconnect_on_error=False)  # `cease` is no error
            except exceptions.TimeoutError:
                if silent:
                    raise
                silent = True  # maybe this worker was busy, and sent no ping
                self.say("PING", "")
                continue
            silent = False
            if not isinstance(answer, list) or len(answer) != 3:
                continue  # of a ping
            kind, channel, message = answer
            if kind == b"message":
                self._heard(channel.decode(), message)
            elif kind == b"subscribe":
                self._heard(channel.decode(), None)

    def _say(self) -> None:
        while True:
            self._ready.wait()
            self._ready.clear()
            while self._unsaid:
                verb, channel = self._unsaid.popleft()
                channels = [channel] if channel else []
                while self._unsaid and self._unsaid[0][0] == verb != "PING" and len(channels) < CHANNELS:
                    channels.append(self._unsaid.popleft()[1])
                self._connection.send_packed_command(
                    self._connection.pack_command(verb, *channels), check_health=False
                )
