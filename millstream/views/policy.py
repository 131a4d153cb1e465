"""Security headers for browsers: https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/referrer-policy/,
https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header"""

from __future__ import annotations

from flask import Response, request

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`, which turns the Origin of our own forms into `null`.
    "Referrer-Policy": "same-origin",
    # Other sites can't embed our responses as image, script or frame. CORS is separate.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
PAGES = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    # static/page/offline.js defines the one Trusted Types policy, for the service worker's address.
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types offline",
    "X-Frame-Options": "DENY",  # for Internet Explorer, which lacks frame-ancestors
}
# An SVG may contain scripts, which would run when it is opened directly.
LOGO = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"}
# Browsers ignore this header over plain HTTP, and log a warning.
SECURE_PAGES = {"Cross-Origin-Opener-Policy": "same-origin"}
# Other sites' pages may load the browser client, also with a checksum (integrity), which needs CORS. Pages that an
# operator puts beside it may contain scripts.
STATIC = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}


def restrict(response: Response) -> Response:
    """Add the headers to a response. Streams, the growing page and errors have them, too."""
    if request.endpoint == "static":
        response.headers.update(STATIC)
        return response
    response.headers.update(EVERYWHERE)
    if request.endpoint == "manifest.logo":
        response.headers.update(LOGO)
    if response.mimetype == "text/html" and response.status_code != 204:
        response.headers.update({**PAGES, **SECURE_PAGES} if request.is_secure else PAGES)
    return response
