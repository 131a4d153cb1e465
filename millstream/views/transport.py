"""Name a client's format and transport for the metrics: as the client reports them, or guessed from its headers."""

from __future__ import annotations

from typing import cast

from flask import g, request

from millstream.formats.html import Html
from millstream.formats.json import Json
from millstream.formats.sse import Sse

# Transports that millstream.js reports: `?via=`, and `&from=` after a fallback. Best first.
LADDER = ("fetch", "eventsource", "xhr", "poll")
TOLD = (*LADDER, "crowded")  # it polls because other streams have all the connections to this host


def via() -> tuple[str, str]:
    """Return the names of format and transport. Both are labels of metrics, so there are only few values."""
    if "via" not in g:
        format = g.get("chosen") or "none"
        g.via = (format, _transport(format))
    return cast(tuple[str, str], g.via)


def step_down() -> tuple[str, str] | None:
    """Return the transports before and after a fallback, if this request reports one."""
    left, taken = request.args.get("from"), request.args.get("via")
    if left in LADDER and taken in LADDER[LADDER.index(left) + 1 :]:
        return left, taken
    return None


def _transport(format: str) -> str:
    told = request.args.get("via")
    if told in TOLD:
        return told
    if format == Json.NAME:
        return "poll" if request.method == "GET" else "whole"
    if format == "none":
        return "detached"  # POST /streams: a client may follow later
    if format == Html.NAME:
        return "page"
    # Firefox from 90, Chromium from 76 and Safari from 16.4 send Sec-Fetch-*; older browsers say Mozilla.
    browser = "Sec-Fetch-Mode" in request.headers or request.headers.get("User-Agent", "").startswith("Mozilla/")
    if not browser:
        return "program"
    if format != Sse.NAME:
        return "xhr"
    return "eventsource" if by_event_source() else "fetch"


def by_event_source() -> bool:
    """Return True if a browser's own EventSource may be asking. HTML, 9.2.2: it asks past every cache, and only with
    GET."""
    asks_past_caches = "no-cache" in request.headers.get("Cache-Control", "")
    return request.method == "GET" and asks_past_caches and request.headers.get("User-Agent", "")[:8] == "Mozilla/"
