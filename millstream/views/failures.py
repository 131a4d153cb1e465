"""Answer every error in the same shape: as JSON, or as text or HTML for clients that accept only that."""

from __future__ import annotations

import logging
import re
from typing import cast

from flask import Flask, Response, current_app, g, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from millstream.errors import MillstreamError, RequestError, body, unforeseen
from millstream.negotiation import negotiate
from millstream.sockets.client import Aborted
from millstream.views import intake
from millstream.views.services import services

log = logging.getLogger("millstream")

APIS = ("v1", "api", "ui")  # programs use addresses that begin with these words
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}


def register(app: Flask) -> None:
    """Make the application answer every error in this shape."""
    app.url_map.merge_slashes = False  # Flask would redirect to any Host that the client invents
    app.register_error_handler(MillstreamError, _render)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def _render(error: MillstreamError) -> Response:
    g.failure = error.failure()
    failure = error.to_reader(intake.by_operator()).failure()
    services().metrics.refused(error.code)
    if error.paid:
        error.headers["x-should-retry"] = "false"  # OpenAI's and Anthropic's SDKs obey it
    if "refuse" in g:  # a route of another dialect
        response = cast(Response, g.refuse(error))
        response.headers.update(HEADERS | error.headers)
        return response
    named = request.args.get("format") or g.get("format")
    media_type = intake.DOCUMENTS.get(named) if isinstance(named, str) else None
    if media_type is None:
        offered = tuple(intake.DOCUMENTS.values())
        media_type = negotiate(request.headers.get("Accept"), offered) or offered[0]
    if media_type == "text/html" and error.status == 401 and request.method in ("GET", "HEAD"):
        return to_log_in()
    if media_type == "text/html":
        page = render_template("error.html", status=error.status, message=error.message, code=error.code)
        response = Response(page, mimetype="text/html")
    elif media_type == "text/plain":
        response = Response(f"{error.message}\n", mimetype="text/plain")
    else:
        response = jsonify(body(failure))
    response.status_code = error.status
    response.headers.update({**HEADERS, "Vary": "Accept", **error.headers})
    return response


def to_log_in() -> Response:
    """Redirect a browser without a valid log-in to /login, and back afterwards."""
    here = request.full_path.removesuffix("?")
    response = make_response(redirect(url_for("login.form", next=None if here == "/" else here), code=303))
    response.headers["Cache-Control"] = "no-store"
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    code = BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    allow = dict(error.get_headers()).get("Allow", "")
    says = {404: _nothing_here(), 405: f"This address takes {allow} only."}
    wrapped = RequestError(code, says.get(status) or error.description or error.name)
    wrapped.status = status
    if allow:
        wrapped.headers["Allow"] = allow
    return _render(wrapped)


def _nothing_here() -> str:
    """Say which address was asked for and which addresses exist, for authors of programs."""
    root = request.path.split("/")[1]
    if root not in APIS:
        return "There is nothing at this address."
    rules = [rule for rule in current_app.url_map.iter_rules() if rule.rule.startswith(f"/{root}/")]
    there = sorted(re.sub("<[^<>]*>", "{id}", rule.rule) for rule in rules)
    return f"There is no {request.method} {request.path[:100]} here; there are {', '.join(dict.fromkeys(there))}."


def _unforeseen(error: Exception) -> Response:
    if isinstance(error, Aborted):
        raise error
    log.exception("unexpected error in %s %r", request.method, request.path)
    return _render(unforeseen())
