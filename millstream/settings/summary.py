"""What a server runs with, in one line for its log. No address of a store: a password may be in it."""

from __future__ import annotations

from millstream.settings import Settings
from millstream.settings.keys import NUMBERS

LIMITS = (*NUMBERS, "requests_per_minute_address", "streams_total", "budget", "budget_total")


def summary(settings: Settings) -> str:
    upstreams = ", ".join(upstream.name for upstream in settings.upstreams) or "local model"
    count = len(settings.keys)
    serves = "everybody, without access keys" if settings.open else "this machine only, without access keys"
    keys = f"{count} access key{'s' if count > 1 else ''}" if count else serves
    given = [name for name in LIMITS if any(getattr(one, name, None) for one in (settings, *settings.keys))]
    return (
        f"upstreams: {upstreams}; store: {settings.store.partition(':')[0]}; keys: {keys}; "
        f"limits: {', '.join(given) or 'none'}"
    )
