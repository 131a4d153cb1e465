"""CORS, for pages of other sites that may ask: https://fetch.spec.whatwg.org/#http-cors-protocol

Credentials are never allowed. A foreign page sends its reader's key, or the server has no keys. Our cookie is only
for our own pages.
"""

from __future__ import annotations

import re

from flask import Flask, Response, request

# Headers that a resume, a retry or a support request needs.
EXPOSED = (
    "Accept-Post, Content-Disposition, Content-Location, Content-Range, Location, Retry-After, WWW-Authenticate, "
    "x-request-id, request-id, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    "x-ratelimit-limit-budget, x-ratelimit-remaining-budget, x-ratelimit-reset-budget"
)
METHODS = "GET, HEAD, POST, DELETE"
NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
KEPT = "600"  # s that a browser may cache the permission
OWN_PAGES = ("/login", "/logout")  # pages of other sites must not use these


def register(app: Flask, sites: tuple[str, ...]) -> None:
    """Register first: Flask calls the first after_request handler last, and this one exposes the others' headers."""
    if not sites:
        return

    def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = Response(status=204)
        if allowed():
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Max-Age"] = KEPT
            # Allow every header that a browser names: OpenAI's SDK sends a dozen. `*` would leave out Authorization.
            names = request.headers.get("Access-Control-Request-Headers", "")
            if NAMES.fullmatch(names):
                response.headers["Access-Control-Allow-Headers"] = names
        response.headers["Vary"] = "Access-Control-Request-Method, Access-Control-Request-Headers"
        return response

    def answer(response: Response) -> Response:
        response.vary.add("Origin")
        if allowed():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    def allowed() -> bool:
        return request.headers.get("Origin") in sites and request.path not in OWN_PAGES

    app.before_request(preflight)
    app.after_request(answer)
