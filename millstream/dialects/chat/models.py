"""The list of models as OpenAI's APIs have it: https://platform.openai.com/docs/api-reference/models"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.dialects.models import Model


def model(name: str, owner: str, listed: Model | None) -> dict[str, Any]:
    """Return a model's object, with its abilities if its upstream's list names them. `created` is unknown, so it
    is 0."""
    found: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": owner}
    can = {"tools": listed.tools, "vision": listed.vision} if listed else {}
    known = {what: value for what, value in can.items() if value is not None}
    return found | ({"capabilities": known} if known else {})


def models(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": found}
