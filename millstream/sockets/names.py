"""Addresses of names, looked up apart from gevent's shared threads and known for a short while.

A name server that hangs holds a thread for ten seconds and more, and gevent has ten threads for everything. So
lookups have threads of their own, one a name however many ask for it, and who asks waits no longer than its limit.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gevent import get_hub
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

FRESH = 30.0  # s that an address is used without a new lookup
STALE = 600.0  # s that an old address is used while a new lookup runs
THREADS = 16
MOST = 100  # names to remember

Address = tuple[int, int, int, str, Any]  # as getaddrinfo gives it


class NameServerSilent(TimeoutError):
    """The name server did not answer in time."""


class Names:
    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[list[Address], float]] = {}
        self._lookups: dict[tuple[Any, str, int], Any] = {}  # under way, by hub, too
        self._threads: WeakKeyDictionary[Any, ThreadPool] = WeakKeyDictionary()  # by hub

    def addresses(self, name: str, port: int, seconds: float) -> list[Address]:
        """Look up a name. Raises NameServerSilent, and socket.gaierror if the name does not exist."""
        with contextlib.suppress(socket.gaierror):  # an IP address needs no name server
            return _look(name, port, socket.AI_NUMERICHOST)
        addresses, at = self._known.get((name, port), ([], 0.0))
        age = time.monotonic() - at
        if addresses and age < FRESH:
            return addresses
        lookup = self._lookup(name, port)
        if addresses and age < STALE:
            return addresses
        lookup.join(seconds)
        if not lookup.ready():
            raise NameServerSilent(f"no name server answered within {seconds:.3g} s")
        if isinstance(lookup.value, OSError):
            raise lookup.value
        found: list[Address] = lookup.value
        return found

    def _lookup(self, name: str, port: int) -> Any:
        key = get_hub(), name, port
        if key not in self._lookups:
            self._lookups[key] = gevent.spawn(self._run, key)
        return self._lookups[key]

    def _run(self, key: tuple[Any, str, int]) -> list[Address] | OSError:
        hub, name, port = key
        threads = self._threads.get(hub) or self._threads.setdefault(hub, ThreadPool(THREADS, hub=hub))
        try:
            found: list[Address] = threads.apply(_look, (name, port))
        except OSError as error:
            return error
        else:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[name, port] = found, time.monotonic()
            return found
        finally:
            del self._lookups[key]


def _look(name: str, port: int, flags: int = 0) -> list[Address]:
    """Blocks the whole thread: gevent's own getaddrinfo would go to its shared ones."""
    try:
        return get_original("socket", "getaddrinfo")(name, port, type=socket.SOCK_STREAM, flags=flags)  # type: ignore[no-any-return]
    except UnicodeError as error:  # a label that IDNA doesn't take
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from error


NAMES = Names()  # one for the whole process: what a name means is the same for all
