"""Check where a request comes from, by its Host and Origin headers.

Otherwise any web page in any browser that reaches this server could ask questions at its owner's cost. The Host rule
prevents DNS rebinding, the Origin rule prevents cross-site requests.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol
from urllib.parse import urlsplit

from millstream.errors import RequestError
from millstream.settings.places import COMMAND

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@]+)(?::[0-9]*)?")
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
OPENING = f"Make access keys ({COMMAND} keys add NAME), or set MILLSTREAM_OPEN=1 to serve everybody who can reach"


class Headers(Protocol):
    """A request's headers; names in any case."""

    def get(self, key: str, default: str, /) -> str: ...
    def __contains__(self, key: str, /) -> bool: ...


def check_way(headers: Headers, peer: str, hosts: Collection[str]) -> None:
    """Refuses what comes through a proxy, under a name that is not in `hosts`, or, if these are this machine's own
    alone, from another one. Raises RequestError (bad_host)."""
    through = next((name for name in FORWARDING if name in headers), "")
    if through:
        raise RequestError(
            "bad_host",
            "This server has no access keys and serves only its own machine, and the request came through a proxy "
            f"({through}). {OPENING} the proxy.",
        )
    if hostname(headers.get("Host", "")) not in hosts:
        raise RequestError(
            "bad_host",
            f"This server has no access keys and answers only to the names {', '.join(sorted(hosts))}. Add the name "
            f"to MILLSTREAM_HOSTS. {OPENING} it.",
        )
    if LOOPBACK.issuperset(hosts) and not (peer in ("", "::1") or peer.startswith(("127.", "::ffff:127."))):
        raise RequestError(
            "bad_host", f"This server has no access keys and serves only its own machine. {OPENING} it."
        )


def check_origin(headers: Headers, secure: bool = False, sites: Collection[str] = ()) -> bool:
    """Refuses what another site's page sends: by Sec-Fetch-Site, by Origin, and by Referer in browsers that
    have neither. `null` says nothing. `secure`: the request came over HTTPS, and our own pages do. Pages of
    `sites` may ask.

    Gives whether the headers say that it is our own page; programs send none. Raises RequestError (bad_origin).
    """
    if headers.get("Origin", "") in sites:
        return True
    site = headers.get("Sec-Fetch-Site", "")
    if site in ("cross-site", "same-site"):
        raise RequestError(
            "bad_origin", "Another site's page sent this request. The operator can allow it in `cors`."
        )
    host = headers.get("Host", "").lower()
    for name in ("Origin", "Referer"):
        value = headers.get(name, "")
        if value in ("", "null"):
            continue
        try:
            sender = urlsplit(value)
        except ValueError:
            sender = urlsplit("")
        if sender.netloc.lower() != host or (secure and sender.scheme != "https"):
            raise RequestError("bad_origin", f"The {name} of this request is not this server, {host}.", param=name)
        return True
    return bool(site)


def check_page(headers: Headers, secure: bool = False, sites: Collection[str] = ()) -> None:
    """The same where no form's token can tell either: refuses also what a browser sends without a word of whose page
    it is on. Over plain HTTP another site's page can have its scripts, frames and forms say nothing else
    (Referrer-Policy: no-referrer; then the Origin of a form is `null`). Raises RequestError (bad_origin)."""
    agent = headers.get("User-Agent", "")
    browser = headers.get("Origin", "") == "null" or (agent.startswith("Mozilla/") and "PowerShell" not in agent)
    if not check_origin(headers, secure, sites) and browser:
        raise unsaid()


def unsaid() -> RequestError:
    return RequestError(
        "bad_origin",
        "This request does not say which page it comes from: no Origin, no Referer, no token of a form. In a "
        "browser, ask from this server's own page. A program sends its key as Authorization: Bearer KEY, and its "
        "own name as User-Agent.",
    )


def hostname(host: str) -> str:
    """The name in a Host header, without the port; an IPv6 address keeps its brackets. "" for what is no host."""
    match = HOST.fullmatch(host.strip().lower())
    return match[1] if match else ""
