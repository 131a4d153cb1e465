"""One question to one upstream after the other, until one answers: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after

| what happened                                            | the same again | the next one |
|----------------------------------------------------------|----------------|--------------|
| no connection in time                                    | –              | yes          |
| no connection, 429, 503, a passing error of the protocol | yes            | yes          |
| wrong key, no quota, unknown model                       | –              | yes          |
| another status, a break, an error after it accepted      | –              | –            |
| anything, once an event has come                         | –              | –            |

What the last two rows leave out may have been paid, or would be refused everywhere.
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
PATIENCE = 10.0  # s: who wants a longer wait is not waited for, and the client is told
IMPATIENCE = 1.0  # s: the same where another upstream stands ready

Failed = Callable[[str, str], None]  # the port that hears of every error of an upstream: its name and the code


class Member(Struct, frozen=True):
    """One upstream of a chain, how often it may be asked again, and its model ("": the one that the call names)."""

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
        self._tried = 0  # how often the member at this place has been asked again
        self._refusals: list[MillstreamError] = []
        self._wait = 0.0  # s before it is asked again
        self._all_refused = False
        self._turn(members[0])

    def ask(self, call: Call) -> Answer | Blocking:
        """As Upstream.ask. If all refuse, the first one's refusal is raised: it is the one that was asked for."""
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
        """None where there is an upstream to be asked, the same or the next one."""
        if self._all_refused:
            return error
        member = self._members[self._place]
        others = self._members[self._place + 1 :]
        if isinstance(error, UpstreamError):
            self._failed(member.upstream.name, error.code)
            if heard or not error.elsewhere:
                return error  # this one may have been paid
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
            return error  # else the question does not suit this one, which nobody asked for
        self._refusals.append(error)
        self._wait, self._tried = 0.0, 0
        if others:
            log.warning("%s Asking %s instead.", error.message, others[0].upstream.name)
            self._place += 1
            self._turn(others[0])
            return None
        if self._place:
            log.warning("%s There is nobody else to ask.", error.message)
        self._turn(self._members[0])
        self._all_refused = True
        first, self._refusals = self._refusals[0], []  # not kept: its traceback holds the question
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
    return error.retry_after * random.uniform(1.0, 1.25)  # never earlier than it was told
