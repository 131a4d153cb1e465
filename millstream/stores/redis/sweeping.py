"""Erases what ended long ago, and what dead workers left. Redis lets it all expire by itself, but later."""

from __future__ import annotations

from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.neighbours import Neighbours
from millstream.stores.redis.scripts import ERASE, HOLDER, OWNER

AT_ONCE = 1000


def sweep(link: Link, channels: names.Channels, neighbours: Neighbours, since: float) -> int:
    """Erases streams whose last sign is older than `since`, in seconds relative to now by Redis' own clock: machines
    don't agree on the time. A stream whose owner lives stays. Gives the number erased. Raises Away."""
    seconds, microseconds = (int(part) for part in link.call("TIME", read=True))
    until = (seconds + since) * 1000 + microseconds // 1000
    found = link.call("ZRANGEBYSCORE", names.SIGNS, "-inf", until, "LIMIT", 0, AT_ONCE, read=True)
    owners = {id.decode(): link.call(*OWNER.command([names.log(id.decode())]), read=True) for id in found}
    running = {owner.decode() for owner in owners.values() if owner}
    dead = neighbours.gone(running)
    erased = 0
    for id, owner in owners.items():
        if not owner or owner.decode() in dead:
            erased += link.call(*ERASE.command([names.log(id), names.SIGNS], id, channels.news(id), names.CLAIMS))
    return erased


def orphans(link: Link, neighbours: Neighbours) -> list[str]:
    """The streams of dead workers, running and ended. Raises Away."""
    ids = [id.decode() for id in link.call("ZRANGE", names.SIGNS, 0, -1, read=True)]
    holders = {id: link.call(*HOLDER.command([names.log(id)]), read=True) for id in ids}
    dead = neighbours.gone({worker.decode() for worker in holders.values() if worker})
    return [id for id, worker in holders.items() if worker and worker.decode() in dead]
