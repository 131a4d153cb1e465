"""Who may ask. A server without keys serves only pages and programs of its own machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from millstream.errors import RequestError
from millstream.settings import KeySettings, Settings

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@]+)(?::[0-9]*)?")
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
ANYONE = "anyone"  # the caller's name where there are no keys


class Headers(Protocol):
    """A request's headers; names in any case."""

    def get(self, key: str, default: str, /) -> str: ...
    def __contains__(self, key: str, /) -> bool: ...


@dataclass(frozen=True)
class Caller:
    """Who asks: the owner of what the request makes, the name in the ledger. `key` is None where there are no keys;
    `address` is the client's, as far as configured proxies are believed."""

    name: str
    key: KeySettings | None = None
    address: str = ""


class Access:
    """Checks one request at a time; holds no state of requests."""

    def __init__(self, settings: Settings) -> None:
        self._open = settings.open
        self._hosts = {host.lower() for host in settings.hosts}
        self._own_machine = self._hosts <= LOOPBACK

    def caller(self, headers: Headers, peer: str, *, starts: bool) -> Caller:
        """Who sends this request. `peer` is the address that the connection comes from; `starts`:
        the request changes or costs something.

        Raises RequestError: bad_host, bad_origin. Any page in any browser that reaches this server could ask it, at
        its owner's cost: hence the Host rule (DNS rebinding) and the Origin rule (cross-site requests).
        """
        if not self._open:
            self._check_way(headers, peer)
        if starts:
            check_origin(headers)
        return Caller(ANYONE, address=peer)

    def _check_way(self, headers: Headers, peer: str) -> None:
        through = next((name for name in FORWARDING if name in headers), "")
        if through:
            raise RequestError(
                "bad_host",
                f"This server serves only its own machine, and the request came through a proxy ({through}). Set "
                "MILLSTREAM_OPEN=1 to serve everybody who can reach the proxy.",
            )
        if hostname(headers.get("Host", "")) not in self._hosts:
            raise RequestError(
                "bad_host",
                f"This server answers only to the names {', '.join(sorted(self._hosts))}. Add the name to "
                "MILLSTREAM_HOSTS, or set MILLSTREAM_OPEN=1 to serve everybody who can reach it.",
            )
        if self._own_machine and not (peer in ("", "::1") or peer.startswith(("127.", "::ffff:127."))):
            raise RequestError(
                "bad_host",
                "This server serves only its own machine. Set MILLSTREAM_OPEN=1 to serve everybody who can reach it.",
            )


def check_origin(headers: Headers) -> None:
    """Refuses what another site's page sends: by Sec-Fetch-Site, by Origin, and by Referer in browsers that
    have neither. `null` counts as absent. Programs send none of them. Raises RequestError (bad_origin).
    """
    if headers.get("Sec-Fetch-Site", "") in ("cross-site", "same-site"):
        raise RequestError("bad_origin", "This request comes from another site's page, which may not ask here.")
    host = headers.get("Host", "").lower()
    for name in ("Origin", "Referer"):
        value = headers.get(name, "")
        if value in ("", "null"):
            continue
        try:
            sender = urlsplit(value).netloc.lower()
        except ValueError:
            sender = ""
        if sender != host:
            raise RequestError("bad_origin", f"The {name} of this request is not this server, {host}.", param=name)
        return


def hostname(host: str) -> str:
    """The name in a Host header, without the port; an IPv6 address keeps its brackets. "" for what is no host."""
    match = HOST.fullmatch(host.strip().lower())
    return match[1] if match else ""
