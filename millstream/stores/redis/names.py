"""The names of keys and channels. Channels carry the database's number: Redis has them for all databases."""

from __future__ import annotations

PREFIX = "millstream:1:"  # the number changes when an older release could not read what a newer one writes
LOGS = f"{PREFIX}log:"  # a Redis Stream for each stream
NAMES = f"{PREFIX}named:"  # the id that a name leads to
CLAIMS = f"{PREFIX}claim:"  # the id that an Idempotency-Key belongs to
ERA = f"{PREFIX}era"  # another one shows that Redis was emptied
SIGNS = f"{PREFIX}signs"  # when each stream gave its last sign: a sorted set of ids, in ms


def log(id: str) -> str:
    return LOGS + id


def keys(id: str) -> list[str]:
    """A stream's log, the signs, and its grave: the key that forbids to create it."""
    return [LOGS + id, SIGNS, f"{PREFIX}undone:{id}"]


def beat(worker: str) -> str:
    """Counts up while the worker lives."""
    return f"{PREFIX}beat:{worker}"


class Channels:
    def __init__(self, database: int) -> None:
        self._news = f"{PREFIX}{database}:news:"
        self._words = f"{PREFIX}{database}:words:"

    def news(self, id: str) -> str:
        """The channel of a stream's new entries; an empty message says that the stream is erased."""
        return self._news + id

    def words(self, worker: str) -> str:
        """Return the channel of messages to a worker, which are `word worker id id …`."""
        return self._words + worker

    def id(self, channel: str) -> str | None:
        """The stream whose news come here."""
        return channel.removeprefix(self._news) if channel.startswith(self._news) else None
