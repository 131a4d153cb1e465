"""GET /: the chat page. Without JavaScript it is a form, and the answer is a growing page."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, make_response, render_template, request

from millstream.access import Caller
from millstream.errors import MillstreamError, RequestError
from millstream.views import failures, intake, scripts
from millstream.views.presets import listed
from millstream.views.services import services

page = Blueprint("page", __name__)


def _default_model(caller: Caller) -> str:
    """Return the default model; "" until an upstream has listed its models. The page works without it."""
    try:
        return intake.default_model(caller)
    except MillstreamError:
        return ""


def _blind(names: set[str]) -> list[str]:
    """Return the models that are known not to accept images."""
    known = {name: services().models.model(name) for name in names if name}
    return sorted(name for name, model in known.items() if model and model.vision is False)


@page.get("/")
def index() -> Response:
    if request.headers.get("User-Agent", "").lower().startswith("ollama"):
        return Response("Ollama is running", content_type="text/plain; charset=utf-8")  # its tools look for this
    try:
        caller = intake.caller(starts=False)
    except RequestError as error:
        if error.status != 401:
            raise
        return failures.to_log_in()
    models, presets, default = intake.models(caller), listed(caller), _default_model(caller)
    response = make_response(
        render_template(
            "index.html",
            once=secrets.token_urlsafe(16),
            token=caller.token,
            signed_in=caller.session is not None,
            models=models,
            default_model=default,
            presets=presets,
            blind=_blind({*models, default, *(preset["model"] or "" for preset in presets)}),
            version=scripts.version(),
            operator=intake.by_operator(),
            keep=intake.may_keep(caller),
            max_body=services().settings.max_body_v1,
        )
    )
    response.headers["Cache-Control"] = "no-cache, private"
    response.headers["Vary"] = "Accept-Language, Cookie"
    return response
