"""Limit what each caller may ask, counted over all workers. Without limits in the settings nothing is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor
from secrets import token_hex
from typing import TypeVar

import gevent

from millstream.errors import MillstreamError, Unavailable
from millstream.events import Call
from millstream.limits import lengths, refusals
from millstream.limits.book import LEASE, Book
from millstream.limits.bounds import Bounds, bounds, network
from millstream.limits.purses import Purse, Purses, Spent, nothing
from millstream.limits.refusals import Window
from millstream.limits.storage import Places, Storage, StorageDown
from millstream.settings import Settings
from millstream.settings.prices import plain
from millstream.streams import Row

T = TypeVar("T")

log = logging.getLogger("millstream")

MINUTE = 60  # s
SETTLING = (0.05, 0.1, 0.2)  # s: an answer that has just ended may not be counted off yet
EVERYBODY = "streams"  # the places that all callers share


class Limits:
    """The limits in one worker; also an `Ends`. While the storage can't count, callers with limits are refused with
    Unavailable (store_unavailable). Running answers continue, and are counted when the storage is back."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        spent: Callable[[str, str], Decimal] = nothing,
    ) -> None:
        """`spent` gives what the ledger has of a caller ("" of all) since a day. Raises Unavailable."""
        self._storage = storage
        self._book = Book(storage)
        self._purses = Purses(storage, self._book, spent)
        self._down = False
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """Apply new limits. Running answers keep their places."""
        self._keys = {key.name: bounds(settings, key) for key in settings.keys}
        self._others = bounds(settings, None)
        self._by_address = settings.requests_per_minute_address
        self._total = settings.streams_total
        self._purses.take(settings)

    def close(self) -> None:
        """Writes what is left to be counted, if the storage takes it now."""
        self._book.close()
        self._storage.close()

    def trouble(self) -> bool:
        """Return True if there are limits and they can't be counted now. Callers with limits are then refused."""
        all_ = (self._others, *self._keys.values())
        counted = any(may.requests_per_minute or may.streams or may.tokens_per_day or may.budget for may in all_)
        if not (counted or self._by_address or self._total or self._purses.total):
            return False
        try:
            self._run(lambda: self._storage.incr("ready", MINUTE))  # it must be written: a full disk can be read
        except Unavailable:
            return True
        return False

    # -- any try that may be made so often only -----------------------------------------------------------------

    def hit(self, name: str, most: int, seconds: int = MINUTE) -> int:
        """Counts one try. 0: it passes; else the whole seconds to wait, and it is not counted.

        At most `most` pass within any `seconds`, over all workers. Raises Unavailable.
        """
        names = {name: Places(most, seconds)}
        self._book.begin()
        return self._run(lambda: self._wait(name, seconds) if self._storage.lease(token_hex(), names) else 0)

    # -- questions ----------------------------------------------------------------------------------------------

    def held(self, name: str, call: Call) -> Call:
        """The call held to the caller's lengths. Raises RequestError (prompt_too_long, bad_field)."""
        return lengths.held(self._may(name), call)

    def admit(self, name: str, address: str, id: str) -> dict[str, str]:
        """Counts a new answer in, until `record` or `void` ends it, and gives the headers that say what is left.

        Refused is all or nothing: what is refused isn't counted. Raises RequestError (requests, tokens, budget,
        streams), Unavailable (full, store_unavailable).
        """
        may = self._may(name)
        windows = self._windows_of(name, address, may)
        places = self._places(name, may)
        purses = self._purses.of(name, may.budget)
        if not (windows or places or purses or may.tokens_per_day):
            return {}
        self._purses.fill(purses, self._run)
        pauses = iter(SETTLING)
        while True:
            try:
                headers = self._run(lambda: self._count(name, may, windows, places, purses, id))
                break
            except MillstreamError as error:
                pause = next(pauses, None)
                if error.code not in ("streams", "full") or pause is None:
                    raise
                gevent.sleep(pause)
        if places:
            self._book.hold(id, places)
        return headers

    def void(self, id: str) -> None:
        """Undo an admission: the answer did not begin."""
        self._book.end(id)

    def record(self, row: Row) -> None:
        """An answer has ended, here or with a worker that died."""
        may = self._may(row.caller)
        self._book.end(row.id, self._places(row.caller, may))
        if may.tokens_per_day and row.usage:
            self._book.count(_today(row.caller), row.usage.input + row.usage.output)
        if row.cost is not None and row.currency == self._purses.currency:
            begun = datetime.fromtimestamp(row.created, UTC)
            self._purses.pay(self._purses.of(row.caller, may.budget, begun), row.cost)

    def spent(self, name: str) -> list[Spent]:
        """Return what is spent of each budget that pays for this caller's answers. Raises Unavailable."""
        purses = self._purses.of(name, self._may(name).budget)
        self._purses.fill(purses, self._run)
        return self._run(lambda: self._purses.read(purses)) if purses else []

    def _may(self, name: str) -> Bounds:
        return self._keys.get(name, self._others)

    def _windows_of(self, name: str, address: str, may: Bounds) -> list[Window]:
        found = []
        if may.requests_per_minute:
            says = "with this key" if name in self._keys else "here"
            found.append(Window(f"requests/key/{name}", may.requests_per_minute, says))
        if self._by_address:
            found.append(Window(f"requests/address/{network(address)}", self._by_address, "from your address"))
        return found

    def _places(self, name: str, may: Bounds) -> dict[str, int]:
        own = {f"{EVERYBODY}/{name}": may.streams} if may.streams else {}
        return own | ({EVERYBODY: self._total} if self._total else {})

    # -- what runs in a job -------------------------------------------------------------------------------------

    def _count(
        self, name: str, may: Bounds, windows: list[Window], places: dict[str, int], purses: list[Purse], id: str
    ) -> dict[str, str]:
        with self._storage.atomic():
            today = self._storage.get(_today(name)) if may.tokens_per_day else 0
            spent = self._purses.read(purses)

            def headers() -> dict[str, str]:
                return self._headers(may, windows, today, spent)

            if may.tokens_per_day and today >= may.tokens_per_day:
                raise refusals.tokens(may.tokens_per_day, _to_midnight(), headers())
            for one in spent:
                if not one.remaining:
                    raise refusals.budget(one, self._purses.currency, headers())
            names = {window.name: Places(window.most, MINUTE) for window in windows}
            names |= {place: Places(most, LEASE) for place, most in places.items()}
            full = self._storage.lease(id, names) if names else None
            if full is None:
                return headers()
            for window in windows:
                if window.name == full:
                    raise refusals.requests(window, self._wait(full, MINUTE), headers())
            if full == EVERYBODY:
                raise Unavailable("full", f"The server is full ({self._total} answers run). Try again.")
            raise refusals.streams(may.streams, headers())

    def _wait(self, name: str, seconds: int) -> int:
        return floor(self._storage.taken(name, seconds)[1]) + 1

    def _headers(self, may: Bounds, windows: list[Window], today: int, spent: list[Spent]) -> dict[str, str]:
        """The headers of OpenAI's API; of two windows the one with less left. No caller sees what all may spend
        together."""
        found: dict[str, str] = {}
        if windows:
            taken = [(window.most, *self._storage.taken(window.name, MINUTE)) for window in windows]
            most, count, reset = min(taken, key=lambda one: one[0] - one[1])
            found |= refusals.headers("requests", most, max(0, most - count), reset)
        if may.tokens_per_day:
            left = max(0, may.tokens_per_day - today)
            found |= refusals.headers("tokens", may.tokens_per_day, left, _to_midnight())
        for one in spent:
            if one.purse.owner:
                amounts = plain(one.purse.budget.amount), plain(one.remaining)
                found |= refusals.headers("budget", *amounts, one.purse.left)
        return found

    def _run(self, job: Callable[[], T]) -> T:
        try:
            result = self._storage.run(job)
        except StorageDown as error:
            if not self._down:
                log.warning("limits can't be counted, so callers with limits are refused: %s", error)
            self._down = True
            raise Unavailable(
                "store_unavailable", "Your limits can't be counted at the moment. Try again.", retry_after=2
            ) from error
        self._down = False
        return result


def _today(name: str) -> str:
    return f"tokens/{name}/{datetime.now(UTC).date()}"


def _to_midnight() -> float:
    """Seconds until the next day begins, in UTC."""
    now = datetime.now(UTC)
    return (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now).total_seconds()
