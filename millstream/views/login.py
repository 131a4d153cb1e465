"""/login and /logout: an access key in, a cookie out."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request

from millstream.access.origin import check_page
from millstream.errors import MillstreamError, RequestError
from millstream.limits.bounds import network
from millstream.views import intake
from millstream.views.services import services

login = Blueprint("login", __name__)

# A page of this server: no other site's ("//host" and, to browsers, "/\host" and "/<tab>/host"), and nothing that
# starts an answer.
PAGE = re.compile(r"/(?:(?:usage|presets|doctor|metrics|streams/[A-Za-z0-9_-]{1,22})?(?:\?[!-~]{0,2000})?)")
BODY_MOST = 16384  # bytes of a form with a key
JSON = "application/json"


@login.get("/login")
def form() -> Response:
    """Show the page that asks for a key. Redirect if the reader has logged in already or no key is needed."""
    next = _next(request.args)
    try:
        intake.caller(starts=False)
    except RequestError as error:
        if error.status != 401:
            raise
        return _page(next)
    return _on(next)


@login.post("/login")
def enter() -> Response:
    """Log in. A form is redirected to its `next`; JSON gets 204."""
    access = services().access
    if not access.keys:
        raise RequestError("not_found", "This server has no access keys: nobody has to log in.")
    # Otherwise a foreign page could log its reader in as somebody else, who would see the reader's spending. No token
    # can prevent that, because there is no cookie yet that it could belong to.
    check_page(request.headers, request.is_secure)
    next = "/"
    try:
        _check_attempts()  # before reading the body, which costs time, too
        fields = intake.fields(BODY_MOST)
        next = _next(fields)
        given = fields.get("key")
        _, key = access.owner(given.strip() if isinstance(given, str) else "")
    except MillstreamError as error:
        if _is_json():
            raise
        return _page(next, error)
    response = _done(next)
    response.set_cookie(
        intake.cookie_name(),
        access.sessions.begin(key),
        max_age=int(services().settings.session),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


@login.post("/logout")
def leave() -> Response:
    """Log out. Copies of the cookie become invalid, too. A form is redirected to /login; JSON gets 204."""
    response = _done("/login")
    try:
        session = intake.caller(starts=True).session
    except RequestError as error:
        if error.status != 401:
            raise
        # Check even without a cookie: another site's form sends none, but our answer would clear it.
        check_page(request.headers, request.is_secure)
        session = None  # it has ended already
    if session is not None:
        services().access.sessions.end(session)
    response.delete_cookie(intake.cookie_name(), secure=request.is_secure, httponly=True, samesite="Lax")
    return response


def _check_attempts() -> None:
    """Limit the attempts to log in. Successful ones count, too: somebody with one key may be guessing others."""
    most = services().settings.login_attempts
    if wait := services().limits.hit(f"login/{network(request.remote_addr or '')}", most):
        raise RequestError(
            "login",
            f"There were {most} attempts to log in from this address within a minute. Try again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )


def _page(next: str, error: MillstreamError | None = None) -> Response:
    code = error.code if error else ""
    page = render_template("login.html", next=next, code=code, message=error.message if error else "")
    return make_response(page, *((error.status, error.headers) if error else ()))


def _on(path: str) -> Response:
    return make_response(redirect(request.script_root + path, code=303))


def _done(path: str) -> Response:
    return Response(status=204) if _is_json() else _on(path)


@login.after_request
def _forget(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _is_json() -> bool:
    return JSON in (request.mimetype, request.headers.get("Accept", ""))


def _next(fields: Any) -> str:
    """Return the page to open after logging in; the start page if `next` is not a page of this server."""
    path = fields.get("next")
    return path if isinstance(path, str) and PAGE.fullmatch(path) else "/"
