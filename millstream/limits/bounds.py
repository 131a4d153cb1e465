"""The limits of one caller: those of its key, otherwise the server's."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from msgspec import Struct

from millstream.settings import KeySettings, Settings
from millstream.settings.budgets import Budget, parse


class Bounds(Struct, frozen=True):
    """0 means no limit."""

    requests_per_minute: int
    streams: int
    tokens_per_day: int
    max_prompt: int
    max_tokens: int
    budget: Budget | None = None


def bounds(settings: Settings, key: KeySettings | None) -> Bounds:
    def of(name: str) -> Any:
        own = getattr(key, name, None)
        return getattr(settings, name) if own is None else own

    *numbers, _ = Bounds.__struct_fields__
    return Bounds(**{name: of(name) for name in numbers}, budget=parse(of("budget")))


def network(address: str) -> str:
    """Return the network of one client: an IPv4 address, but a whole /64 of IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((int(ip), 64), strict=False))
