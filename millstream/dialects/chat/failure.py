"""An error as OpenAI's APIs have it: https://platform.openai.com/docs/guides/error-codes"""

from __future__ import annotations

from millstream.dialects import Refusal
from millstream.errors import MillstreamError, body
from millstream.formats.objects import to_json


def refuse(error: MillstreamError, id: str) -> Refusal:
    return Refusal(error.status, to_json(body(error.failure())))
