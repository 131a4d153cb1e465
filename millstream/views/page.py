"""GET /: the page without script, a form whose answer is the growing page."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, make_response, render_template, request

from millstream.views import intake
from millstream.views.presets import listed
from millstream.views.services import services

page = Blueprint("page", __name__)


@page.get("/")
def index() -> Response:
    intake.caller(starts=False)
    models = services().models
    response = make_response(
        render_template(
            "index.html",
            root=request.script_root,
            once=secrets.token_urlsafe(16),
            models=models.models(),
            default_model=models.default,
            presets=listed(),
        )
    )
    response.headers["Cache-Control"] = "no-cache"
    return response
