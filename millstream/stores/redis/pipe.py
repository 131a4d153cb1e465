"""Commands to Redis over one connection, in pipelines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from redis.connection import AbstractConnection

from millstream.errors import Unavailable

COMMANDS, BYTES = 500, 1 << 18  # of one pipeline; more would need longer than its time limit on a slow network


class Away(Unavailable):
    """Redis can't be asked now, `why` for the log. What was asked may still be done."""

    def __init__(self, why: object = "") -> None:
        says = "The streams can't be reached at the moment; try again."
        super().__init__("store_unavailable", says, retry_after=2)
        self.why = why


Heard = Callable[[Any], None]  # gets the answer, or an Away


class Pipe:
    """A connection that sends commands in pipelines. Commands that arrive while a pipeline is running form the next
    one, so batches grow with the load. `broken` is called once, when the connection fails."""

    def __init__(self, connection: AbstractConnection, broken: Callable[[Exception], None]) -> None:
        self._connection = connection
        self._broken = broken
        self._waiting: deque[tuple[tuple[object, ...], Heard]] = deque()
        self._asked: deque[Heard] = deque()
        self._ready = Event()
        self._greenlet = gevent.spawn(self._run)

    def post(self, command: tuple[object, ...], heard: Heard) -> None:
        """Send a command. Never blocks. `heard` is called with the answer; it must neither block nor raise."""
        self._waiting.append((command, heard))
        self._ready.set()

    def close(self, why: Away) -> None:
        """Close the connection, and tell all callers that still wait."""
        self._greenlet.kill(block=False)
        self._connection.disconnect()
        for heard in (*self._asked, *(heard for _, heard in self._waiting)):
            heard(why)
        self._asked.clear()
        self._waiting.clear()

    def _run(self) -> None:
        try:
            while True:
                self._ready.wait()
                self._ready.clear()
                while self._waiting:
                    self._exchange()
        except Exception as error:  # whatever it is: callers wait for an answer without a limit
            self._broken(error)

    def _exchange(self) -> None:
        commands = self._next()
        self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        while self._asked:
            answer = self._connection.read_response()
            self._asked.popleft()(answer)

    def _next(self) -> list[tuple[object, ...]]:
        commands: list[tuple[object, ...]] = []
        size = 0
        while self._waiting and len(commands) < COMMANDS and size < BYTES:
            command, heard = self._waiting.popleft()
            commands.append(command)
            self._asked.append(heard)
            size += sum(len(part) for part in command if isinstance(part, bytes | str))
        return commands
