"""The other addresses of Ollama's API: models and version."""

from __future__ import annotations

from flask import Blueprint, Response

from millstream.dialects.fields import Fields, decode
from millstream.dialects.ollama import models
from millstream.dialects.ollama.door import OLLAMA
from millstream.views import doors, intake
from millstream.views.services import services

ollama = Blueprint("ollama_beside", __name__)


@ollama.get("/api/tags")
def tags() -> Response:
    return doors.document(models.tags(intake.models(intake.caller(starts=False))))


@ollama.get("/api/ps")
def running() -> Response:
    return doors.document(models.running(intake.models(intake.caller(starts=False))))


@ollama.get("/api/version")
def version() -> Response:
    return doors.document({"version": models.VERSION})


@ollama.post("/api/show")
def show() -> Response:
    """Return a model's abilities, as far as the upstream's list names them."""
    caller = intake.caller(starts=False)
    asked = Fields(decode(intake.body(services().settings.max_body)))
    name = asked.text("model", "") or asked.text("name")
    found = doors.model(caller, OLLAMA, name)
    intake.find(caller, found)
    return doors.document(models.shown(services().models.model(found)))
