"""Erases what ended long ago, and what dead workers left. Redis lets it all expire by itself, but later."""

from __future__ import annotations

from millstream.stores.redis import names
from millstream.stores.redis.link import Link
from millstream.stores.redis.machines import Machines
from millstream.stores.redis.scripts import ERASE, HOLDER, OWNER, Script

AT_ONCE = 1000


def sweep(link: Link, channels: names.Channels, neighbours: Machines, since: float) -> int:
    """Erases streams whose last sign is older than `since`, in seconds relative to now by Redis' own clock: machines
    don't agree on the time. A stream whose owner lives stays. Gives the number erased. Raises Away."""
    seconds, microseconds = (int(part) for part in link.call("TIME", read=True))
    until = (seconds + since) * 1000 + microseconds // 1000
    found = link.call("ZRANGEBYSCORE", names.SIGNS, "-inf", until, "LIMIT", 0, AT_ONCE, read=True)
    owners = _by_id(link, OWNER, found)
    running = {owner.decode() for owner in owners.values() if owner}
    dead = neighbours.gone(running)
    over = [id for id, owner in owners.items() if not owner or owner.decode() in dead]
    keys = {id: [names.log(id), names.SIGNS] for id in over}
    return sum(link.calls(ERASE.command(keys[id], id, channels.news(id), names.CLAIMS) for id in over))


def orphans(link: Link, neighbours: Machines) -> list[str]:
    """The streams of dead workers, running and ended. Raises Away."""
    holders = _by_id(link, HOLDER, link.call("ZRANGE", names.SIGNS, 0, -1, read=True))
    dead = neighbours.gone({worker.decode() for worker in holders.values() if worker})
    return [id for id, worker in holders.items() if worker and worker.decode() in dead]


def _by_id(link: Link, script: Script, found: list[bytes]) -> dict[str, bytes | None]:
    """What the script says of each stream."""
    ids = [id.decode() for id in found]
    return dict(zip(ids, link.calls((script.command([names.log(id)]) for id in ids), read=True), strict=True))
