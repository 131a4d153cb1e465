"""Ask upstreams one after the other until one answers: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after

| what happened                                            | the same again | the next one |
|----------------------------------------------------------|----------------|--------------|
| no connection in time                                    | –              | yes          |
| no connection, 429, 503, a passing error of the protocol | yes            | yes          |
| wrong key, no quota, unknown model                       | –              | yes          |
| another status, a break, an error after it accepted      | –              | –            |
| anything, once an event has come                         | –              | –            |

The cases of the last two rows may have been billed, or every upstream would refuse them.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from millstream.errors import MillstreamError, RequestError, UpstreamError
from millstream.events import Call
from millstream.upstreams import Answer, Blocking, Plain, Upstream

log = logging.getLogger("millstream")

PAUSE = 0.2  # s before the first retry, doubled before each further one, ±25 %
PATIENCE = 10.0  # s; if an upstream asks for a longer wait, the client gets its error
IMPATIENCE = 1.0  # s; the same limit if there is another upstream to ask

Failed = Callable[[str, str], None]  # the port that is told of every error: the upstream's name and the code


class Member(Struct, frozen=True):
    """One upstream of a chain, its number of retries, and its model ("" means the one that the call names)."""

    upstream: Upstream
    retries: int = 0
    model: str = ""


class Chain(Plain):
    """The way of one question: made anew for each. Name, model and deadlines are those of the upstream that is
    being asked, counted from the first one's beginning."""

    def __init__(self, members: Sequence[Member], failed: Failed = lambda name, code: None) -> None:
        self._members = members
        self._failed = failed
        self._begun: float | None = None
        self._place = 0
        self._tried = 0  # retries of the current member so far
        self._refusals: list[MillstreamError] = []
        self._wait = 0.0  # s before the next retry
        self._all_refused = False
        self._turn(members[0])

    def ask(self, call: Call) -> Answer | Blocking:
        """Ask, as in Upstream.ask. If all refuse, raise the error of the first one, which the client has asked
        for."""
        if self._begun is None:
            self._begun = time.monotonic()
        while True:
            if self._tried:
                time.sleep(self._wait)
            member = self._members[self._place]
            try:
                return member.upstream.ask(call.to(member.model) if member.model else call)
            except (UpstreamError, RequestError) as error:
                refused = self.again(error, heard=False)
            if refused is not None:
                try:
                    raise refused
                finally:
                    del refused  # its traceback holds this frame, and so the question

    def again(self, error: MillstreamError, heard: bool) -> MillstreamError | None:
        """Return None if an upstream is left to ask, the same or the next one; otherwise the error to report."""
        if self._all_refused:
            return error
        member = self._members[self._place]
        others = self._members[self._place + 1 :]
        if isinstance(error, UpstreamError):
            self._failed(member.upstream.name, error.code)
            if heard or not error.elsewhere:
                return error  # the question may have been billed
            self._wait = _pause(self._tried, error)
            if not (
                error.paid
                or error.code == "connect_timeout"
                or self._tried == member.retries
                or self._wait > (IMPATIENCE if others else PATIENCE)
            ):
                self._tried += 1
                return None
        elif self._place == 0:
            return error  # otherwise this fallback, which the client didn't choose, can't take the question
        self._refusals.append(error)
        self._wait, self._tried = 0.0, 0
        if others:
            log.warning("%s Asking %s instead.", error.message, others[0].upstream.name)
            self._place += 1
            self._turn(others[0])
            return None
        if self._place:
            log.warning("%s No other upstream is left to ask.", error.message)
        self._turn(self._members[0])
        self._all_refused = True
        first, self._refusals = self._refusals[0], []  # don't keep it: its traceback holds the question
        return first

    def _turn(self, member: Member) -> None:
        spent = 0.0 if self._begun is None else time.monotonic() - self._begun
        self.name = member.upstream.name
        self.model = member.model
        limits = member.upstream.deadlines
        self.deadlines = replace(limits, first_token=limits.first_token + spent, total=limits.total + spent)


def _pause(tried: int, error: UpstreamError) -> float:
    if error.retry_after is None:
        return PAUSE * random.uniform(0.75, 1.25) * float(2**tried)
    return error.retry_after * random.uniform(1.0, 1.25)  # never earlier than the upstream asked for
