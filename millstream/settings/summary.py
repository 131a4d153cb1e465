"""The server's settings in one line for its log. No address of a store: a password may be in it."""

from __future__ import annotations

from millstream.settings import Settings, UpstreamSettings
from millstream.settings.keys import NUMBERS
from millstream.settings.places import COMMAND

SHOWN = 5  # models of an upstream
LIMITS = (*NUMBERS, "requests_per_minute_address", "streams_total", "budget", "budget_total")


def summary(settings: Settings) -> str:
    upstreams = ", ".join(map(_upstream, settings.upstreams)) or "local model"
    count = len(settings.keys)
    serves = "everybody, without access keys" if settings.open else "this machine only, without access keys"
    keys = f"{count} access key{'s' if count > 1 else ''}" if count else serves
    given = [name for name in LIMITS if any(getattr(one, name, None) for one in (settings, *settings.keys))]
    return (
        f"upstreams: {upstreams}; store: {settings.store.partition(':')[0]}; keys: {keys}; "
        f"limits: {', '.join(given) or 'none'}"
    )


def _upstream(upstream: UpstreamSettings) -> str:
    """Return an upstream's name and the models that the file names."""
    more = f", and {len(upstream.models) - SHOWN} more" if len(upstream.models) > SHOWN else ""
    models = ", ".join(upstream.models[:SHOWN]) + more
    return upstream.name if models in ("", "*", upstream.name) else f"{upstream.name} ({models})"


def warning(settings: Settings, host: str) -> str:
    """Return advice if others can reach the server but all would be refused; "" otherwise."""
    if settings.keys or settings.open or host.startswith("127.") or host in ("::1", "[::1]", ""):
        return ""
    return (
        "other machines are refused, because there is no access key. Make one, which works within two seconds: "
        f"{COMMAND} keys add NAME. Or set MILLSTREAM_OPEN=1 to serve everybody who can reach this server."
    )
