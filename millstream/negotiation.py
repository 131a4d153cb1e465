"""Choose the media type of an answer by Accept: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from millstream.errors import RequestError

# In the server's order, which decides if the client has no preference.
OFFERED = ("text/plain", "text/event-stream", "application/x-ndjson", "text/html", "application/json")

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_QUALITY = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


@lru_cache(100)  # clients send few different headers
def negotiate(accept: str | None, offered: tuple[str, ...] = OFFERED) -> str | None:
    """Return the offered type that the client prefers, or None if it accepts none of them.

    A type has the q of the most specific range that it matches. For equal q the more specific range wins, then
    the order of `offered`. An absent or empty header accepts everything.
    """
    if not accept or not accept.replace(",", "").strip():
        return offered[0]
    ranges = list(_ranges(accept))
    best, chosen = (0.0, 0), None
    for media_type in offered:
        rank = _rank(media_type, ranges)
        if rank[0] > 0 and rank > best:
            best, chosen = rank, media_type
    return chosen


def not_acceptable(offered: Iterable[str] = OFFERED) -> RequestError:
    """Return the error 406, for a header that accepts none of these types."""
    return RequestError("not_acceptable", f"Accept matches none of the types offered: {', '.join(offered)}.")


def named(accept: str | None, media_type: str) -> bool:
    """Return True if the header names the type itself, with a q over 0; a wildcard doesn't count."""
    return any(name == media_type and q > 0 for name, q in _ranges(accept or ""))


def _rank(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Return q and specificity of the most specific range that the type matches; of two equal ranges, the higher
    q."""
    for specificity, name in ((3, media_type), (2, media_type.partition("/")[0] + "/*"), (1, "*/*")):
        found = [q for range_, q in ranges if range_ == name]
        if found:
            return max(found), specificity
    return 0.0, 0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each media range and its q. Skip a range whose q is not valid; a bad name matches nothing anyway."""
    # Only ignored parameters may be quoted. Without them "," and ";" are separators.
    for member in _QUOTED.sub("", accept).lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        if name == "*":  # Java's HttpURLConnection
            name = "*/*"
        q = _quality(parameters)
        if q is not None:
            yield name, q


def _quality(parameters: list[str]) -> float | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            value = value.strip()
            return float(value) if _QUALITY.fullmatch(value) and float(value) <= 1 else None
    return 1.0
