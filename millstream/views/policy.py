"""What a browser may do with our pages: https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/referrer-policy/"""

from __future__ import annotations

from flask import Flask, Response, request

POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    # Not no-referrer: that turns our own forms' Origin into `null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def register(app: Flask) -> None:
    """Every page of ours carries it, the growing one and errors too; the operator's own files in static/ don't."""
    app.after_request(_restrict)


def _restrict(response: Response) -> Response:
    if response.mimetype == "text/html" and response.status_code != 204 and request.endpoint != "static":
        response.headers.update(POLICY)
    return response
