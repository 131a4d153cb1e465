"""Find out which other workers are dead. Only this worker's clock counts, and no expiry in Redis."""

from __future__ import annotations

from collections.abc import Iterable

TICK = 0.5  # s between two looks
GONE = 1.0  # s with neither connection nor beat: the process has died
SILENT = 5.0  # s without a beat on a connection that stands: its machine is off the network, or it was stopped
GAP = 3 * TICK  # s between two looks: then it was this worker, or Redis, that stood still
SETTLE = 15.0  # s after a reconnection, in which others come back, too: on a machine that is far too busy it takes 6


class _Sign:
    __slots__ = ("beat", "connected", "since")

    def __init__(self, beat: bytes | None, since: float) -> None:
        self.beat = beat
        self.since = since  # when the beat last changed, or when looking began anew
        self.connected = True


class Owners:
    """The other workers, updated by each check. A worker that was only paused counts as alive after its next
    heartbeat, but can't append to streams that were seized in the meantime. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._signs: dict[str, _Sign] = {}
        self._looked = float("-inf")
        self._settled = float("-inf")
        self._dead: set[str] = set()

    def dead(self, worker: str) -> bool:
        return worker in self._dead

    def all_dead(self) -> tuple[str, ...]:
        """The dead workers at the last look; one may just have come back."""
        return tuple(self._dead)

    def silent(self, found: Iterable[tuple[str, bool, bytes | None]]) -> tuple[str, ...]:
        """Return the workers that are dead and have given no sign since the last check. `found` is as in `look`."""
        return tuple(worker for worker, _, beat in found if worker in self._dead and self._signs[worker].beat == beat)

    def connected(self, now: float, again: bool) -> None:
        """Forget all earlier observations. After a reconnection (`again`), allow other workers time to reconnect,
        too."""
        self._signs.clear()
        self._dead = set()
        self._settled = now + (SETTLE if again else 0)

    def settled(self, now: float) -> bool:
        """True if every living worker has had the time to connect again."""
        return now >= self._settled

    def look(self, now: float, found: Iterable[tuple[str, bool, bytes | None]]) -> set[str]:
        """`found`: for each worker whether it is connected, and its beat. Gives those that are dead."""
        if now - self._looked > GAP:
            for sign in self._signs.values():
                sign.since = now
        self._looked = now
        signs = {}
        for worker, connected, beat in found:
            sign = signs[worker] = self._signs.get(worker) or _Sign(beat, now)
            if beat != sign.beat:
                sign.beat, sign.since = beat, now
            sign.connected = connected
        self._signs = signs
        self._dead = {worker for worker, sign in signs.items() if self.settled(now) and _is_dead(sign, now)}
        return self._dead


def _is_dead(sign: _Sign, now: float) -> bool:
    if sign.connected:
        return now - sign.since >= SILENT
    return sign.beat is None or now - sign.since >= GONE  # None: it said good-bye, or went long ago
