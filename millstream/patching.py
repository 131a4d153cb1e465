"""gevent's patches of the standard library, for each way to start. Imports nothing else: patches come first."""

from functools import cache
from importlib import metadata

from gevent import monkey


def patch() -> None:
    """Patch everything. gevent asks 25 times for its plug-ins, and each time Python reads files of all installed
    packages. Reading them once saves a quarter of a start where there are 160."""
    ask = metadata.entry_points
    once = cache(ask)
    metadata.entry_points = lambda **about: once().select(**about)  # type: ignore[assignment]
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = ask
