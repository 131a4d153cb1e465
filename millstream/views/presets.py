"""GET /presets: their names and titles."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from millstream.access import Caller
from millstream.negotiation import negotiate, not_acceptable
from millstream.views import intake
from millstream.views.services import services

presets = Blueprint("presets", __name__)

OFFERED = {"json": "application/json", "text": "text/plain", "html": "text/html"}


@presets.get("/presets")
def index() -> Response:
    """The presets' names and titles; never their prompts."""
    found = listed(intake.caller(starts=False))
    media_type = OFFERED.get(request.args.get("format", ""))
    media_type = media_type or negotiate(request.headers.get("Accept"), tuple(OFFERED.values()))
    if media_type == "text/html":
        page = render_template("presets.html", root=request.script_root, presets=found)
        response = Response(page, content_type="text/html; charset=utf-8")
    elif media_type == "text/plain":
        lines = "".join(f"{preset['name']}\t{preset['title']}\n" for preset in found)
        response = Response(lines, content_type="text/plain; charset=utf-8")
    elif media_type:
        response = jsonify(presets=found)
    else:
        raise not_acceptable(OFFERED.values())
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept"
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
