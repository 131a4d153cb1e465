"""GET /v1/models: the models that a caller may name, for clients of OpenAI and Anthropic."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g

from millstream.access import Caller
from millstream.dialects.chat.models import model as written
from millstream.dialects.chat.models import models as listed
from millstream.dialects.messages import models as anthropic
from millstream.dialects.messages.door import MESSAGES
from millstream.views import intake
from millstream.views.doors import document
from millstream.views.services import services

models = Blueprint("models", __name__)


@models.get("/v1/models")
def all_() -> Response:
    caller = intake.caller(starts=False)
    names = intake.models(caller)
    if g.dialect is MESSAGES:
        return document(anthropic.models(names))
    return document(listed([_model(caller, name) for name in names]))


@models.get("/v1/models/<path:id>")
def one(id: str) -> Response:
    """Return one model. Its name may contain slashes."""
    found = _model(intake.caller(starts=False), id)
    return document(anthropic.model(id) if g.dialect is MESSAGES else found)


def _model(caller: Caller, name: str) -> dict[str, Any]:
    """Return a model's facts. Raises MillstreamError (model_not_found, model_not_allowed)."""
    return written(name, intake.find(caller, name).name, services().models.model(name))
