"""GET /presets: the names and titles of the presets."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template, request

from millstream.access import Caller
from millstream.views import intake
from millstream.views.services import services

presets = Blueprint("presets", __name__)


@presets.get("/presets")
def index() -> Response:
    """Return the presets' names and titles, never their prompts."""
    found = listed(intake.caller(starts=False))
    media_type = intake.choose_type(request.args.get("format"), intake.DOCUMENTS)
    if media_type == "text/html":
        response = make_response(render_template("presets.html", presets=found))
    elif media_type == "text/plain":
        lines = "".join(f"{preset['name']}\t{preset['title']}\n" for preset in found)
        response = Response(lines, mimetype="text/plain")
    else:
        response = jsonify(presets=found)
    response.headers.update({"Cache-Control": "no-cache", "Vary": "Accept"})
    return response


def listed(caller: Caller) -> list[dict[str, Any]]:
    """Return the public facts of the presets that this caller may use."""
    return [
        {
            "name": preset.name,
            "title": preset.title or preset.name,
            "locked": preset.locked,
            "default": preset.default,
            "model": preset.model or None,
        }
        for preset in services().settings.presets
        if not preset.model or intake.may_ask(caller, preset.model)
    ]
