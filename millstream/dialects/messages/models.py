"""The list of models as the Messages API has it: https://docs.claude.com/en/api/models-list"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MADE = "1970-01-01T00:00:00Z"  # when a model was made is not known


def model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": MADE, "lifecycle": "active"}


def models(names: Sequence[str]) -> dict[str, Any]:
    """List all models on one page."""
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"data": [model(name) for name in names], "has_more": False, **ends}
