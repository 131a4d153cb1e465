"""Split long loops into steps, so that a pass over 10,000 streams doesn't block the event loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

STEP = 50  # items before other greenlets have a turn
TURN = 0.001  # s: a pause of 0 would let other greenlets run, and no socket be read

T = TypeVar("T")


def in_turns(items: Iterable[T], step: int = STEP) -> Iterator[T]:
    """An item may be gone when it is yielded."""
    for count, item in enumerate(items, 1):
        if count % step == 0:
            gevent.sleep(TURN)
        yield item
