"""An error as Ollama has it: a status, and one sentence."""

from __future__ import annotations

from millstream.dialects import Refusal
from millstream.errors import MillstreamError
from millstream.formats.objects import to_json


def refuse(error: MillstreamError, id: str) -> Refusal:
    return Refusal(error.status, to_json({"error": error.message}))
