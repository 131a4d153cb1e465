"""An error as useChat shows it: `error.message` is the whole body, so the body is the sentence alone."""

from __future__ import annotations

from millstream.dialects import Refusal
from millstream.errors import MillstreamError


def refuse(error: MillstreamError, id: str) -> Refusal:
    return Refusal(error.status, error.message.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")
