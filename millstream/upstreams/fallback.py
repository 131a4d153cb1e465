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
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from millstream.errors import MillstreamError, RequestError, UpstreamError
from millstream.events import Call, Event
from millstream.upstreams import Upstream

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


class Chain:
    """The way of one question: made anew for each. Name, model and deadlines are those of the upstream that is
    being asked, counted from the first one's beginning."""

    def __init__(self, members: Sequence[Member], failed: Failed = lambda name, code: None) -> None:
        self._members = members
        self._failed = failed
        self._turn(members[0], 0.0)

    def stream(self, call: Call) -> Generator[list[Event]]:
        """As Upstream.stream. If all refuse, the first one's refusal is raised: it is the one that was asked for."""
        begun = time.monotonic()
        refusals: list[MillstreamError] = []
        for place, member in enumerate(self._members, 1):
            self._turn(member, time.monotonic() - begun)
            others = len(self._members) - place
            refusal = yield from self._ask(member, call, IMPATIENCE if others else PATIENCE)
            if refusal is None:
                return
            refusals.append(refusal)
            if others:
                log.warning("%s Asking %s instead.", refusal.message, self._members[place].upstream.name)
            elif place > 1:
                log.warning("%s There is nobody else to ask.", refusal.message)
        self._turn(self._members[0], time.monotonic() - begun)
        try:
            raise refusals[0]
        finally:
            refusals.clear()  # their tracebacks hold this frame, and so the question, until the collector comes
            del refusal

    def _ask(
        self, member: Member, call: Call, patience: float
    ) -> Generator[list[Event], None, MillstreamError | None]:
        """One upstream, as often as may be. Gives the refusal after which another one may be asked."""
        asked = replace(call, model=member.model) if member.model else call
        heard, tried = False, 0
        flow: list[Event] = []
        while True:
            try:
                with closing(cast(Generator[list[Event]], member.upstream.stream(asked))) as batches:
                    for batch in batches:
                        if batch:
                            heard = True
                        else:
                            flow = batch
                        yield batch
                return None
            except UpstreamError as error:
                self._failed(member.upstream.name, error.code)
                if heard or getattr(flow, "heard", False) or not error.elsewhere:
                    raise
                wait = _pause(tried, error)
                if error.paid or error.code == "connect_timeout" or tried == member.retries or wait > patience:
                    return error
            except RequestError as error:
                if member is self._members[0]:
                    raise
                return error  # the question does not suit this one, which nobody asked for
            time.sleep(wait)
            tried += 1

    def _turn(self, member: Member, spent: float) -> None:
        self.name = member.upstream.name
        self.model = member.model
        limits = member.upstream.deadlines
        self.deadlines = replace(limits, first_token=limits.first_token + spent, total=limits.total + spent)


def _pause(tried: int, error: UpstreamError) -> float:
    if error.retry_after is None:
        return PAUSE * random.uniform(0.75, 1.25) * float(2**tried)
    return error.retry_after * random.uniform(1.0, 1.25)  # never earlier than it was told
