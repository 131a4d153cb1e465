"""The models as Ollama lists and shows them: https://docs.ollama.com/api/tags"""

from __future__ import annotations

from collections.abc import Sequence

from millstream.dialects.foreign import Object
from millstream.dialects.models import Model

VERSION = "0.15.0"  # of Ollama: what its clients may expect of this server
LATEST = ":latest"
MADE = "1970-01-01T00:00:00Z"  # when a model was made is not known
DETAILS: Object = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": None,
    "parameter_size": "",
    "quantization_level": "",
}


def tags(names: Sequence[str]) -> Object:
    return {"models": [_model(name) | {"modified_at": MADE} for name in names]}


def running(names: Sequence[str]) -> Object:
    """Return the running models for `ollama ps`. All models count as loaded."""
    more = {"expires_at": "9999-12-31T23:59:59Z", "size_vram": 0, "context_length": 0}
    return {"models": [_model(name) | more for name in names]}


def shown(model: Model | None) -> Object:
    """Describe a model. It has every ability that is not known to be missing."""
    lacks = {"tools": model.tools, "vision": model.vision} if model else {}
    can = [what for what in ("completion", "tools", "vision", "thinking") if lacks.get(what) is not False]
    return {
        "details": DETAILS,
        "model_info": {},
        "capabilities": can,
        "template": "",
        "parameters": "",
        "license": "",
        "modified_at": MADE,
    }


def aliases(name: str) -> tuple[str, ...]:
    """`m` and `m:latest` are one name."""
    return (name, name.removesuffix(LATEST) if name.endswith(LATEST) else name + LATEST)


def _model(name: str) -> Object:
    return {"name": name, "model": name, "size": 0, "digest": "", "details": DETAILS}
