"""Erases what ended long ago, and what dead workers left. Redis lets it all expire by itself, but later."""

from __future__ import annotations

from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.machines import Machines
from millstream.stores.redis.pipe import Away
from millstream.stores.redis.scripts import ERASE, OWNER

AT_ONCE = 1000


def sweep(link: Link, channels: names.Channels, neighbours: Machines, since: float) -> int:
    """Erases streams whose last sign is older than `since`, in seconds relative to now by Redis' own clock: machines
    don't agree on the time. A stream whose owner lives stays. Gives the number erased. Raises Away."""
    seconds, microseconds = (int(part) for part in link.call("TIME", read=True))
    until = (seconds + since) * 1000 + microseconds // 1000
    found = link.call("ZRANGEBYSCORE", names.SIGNS, "-inf", until, "LIMIT", 0, AT_ONCE, read=True)
    owners = _owners(link, found)
    dead = neighbours.gone({worker for worker, ended in owners.values() if not ended})
    over = [id for id, (worker, ended) in owners.items() if ended or worker in dead]
    return sum(link.calls(ERASE.command(names.keys(id), id, channels.news(id), names.CLAIMS) for id in over))


def orphans(link: Link, neighbours: Machines) -> list[str]:
    """The streams of dead workers, running and ended. Raises Away, too where nobody can be known for dead yet."""
    if not neighbours.settled:
        raise Away("others may still be on their way back")
    owners = _owners(link, link.call("ZRANGE", names.SIGNS, 0, -1, read=True))
    dead = neighbours.gone({worker for worker, _ in owners.values() if worker})
    return [id for id, (worker, _) in owners.items() if worker in dead]


def _owners(link: Link, found: list[bytes]) -> dict[str, tuple[str, bool]]:
    """Return for each stream its present or last owner ("" if the stream is gone), and whether it has ended."""
    ids = [id.decode() for id in found]
    said = link.calls((OWNER.command([names.log(id)]) for id in ids), read=True)
    return {id: (worker.decode(), bool(ended)) for id, (worker, ended) in zip(ids, said, strict=True)}
