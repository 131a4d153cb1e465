"""What the tests put into stores."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from millstream.events import End, Event, Meta
from millstream.stores.file import FileStore

ID = "a" * 22
OTHER = "b" * 22
TTL = 600.0
DEADLINE = 30.0  # s, for what takes a few ms on a machine at rest


def meta(store: Any, id: str = ID, **more: Any) -> Meta:
    return Meta(id=id, owner="caller", worker=store.worker, created=time.time(), model="m", **more)


def message(n: int, text: str = "token ") -> Event:
    return Event(text=text, n=n)


def done(n: int) -> Event:
    return Event(type="done", n=n, end=End(model="m", upstream="u", finish_reason="stop"))


def longest_turn(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU that it holds the event loop at once, and in all."""
    turns, spent = [0.0], time.thread_time()
    going = gevent.spawn(work)
    while not going.dead:
        gevent.sleep(0.0001)
        now = time.thread_time()
        turns.append(now - spent)
        spent = now
    going.get()
    return max(turns), sum(turns)


def everything(reader: Any, limit: int = 65536) -> list[Event]:
    """All that is there, in bits."""
    events: list[Event] = []
    while bit := reader.read(limit):
        events += bit
    return events


def log(store: Any, id: str = ID, after: int = 0, limit: int = 65536) -> list[Event]:
    reader = store.reader(id, after)
    try:
        return everything(reader, limit)
    finally:
        reader.close()


def until(true: Any) -> None:
    """Lets other greenlets run until it is so."""
    with gevent.Timeout(DEADLINE):
        while not true():
            gevent.sleep(0.005)


def path_of(directory: Path, id: str = ID) -> Path:
    return directory / f"{id}.log"


def abandoned(directory: Path, batches: Any, id: str = ID, **more: Any) -> Path:
    """The log of a worker that went without ending it."""
    store = FileStore(directory, TTL)
    store.create(meta(store, id, **more))
    for batch in batches:
        store.append(id, batch)
    store.close()
    return path_of(directory, id)
