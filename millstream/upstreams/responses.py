"""OpenAI's Responses API, and servers that have it: https://platform.openai.com/docs/api-reference/responses"""

from __future__ import annotations

from typing import Any

from millstream.dialects.responses.question import NAME
from millstream.dialects.responses.reader import Events
from millstream.dialects.responses.request import write
from millstream.events import Call
from millstream.upstreams.kind import Kind


class Responses(Kind):
    """The kind "responses". It has no settings besides outbound.SETTINGS."""

    example = "https://api.openai.com/v1"
    speaks = frozenset({NAME})

    def path(self, call: Call) -> str:
        return "/responses"

    def request(self, call: Call) -> dict[str, Any]:
        return write(call.question)

    def reader(self, call: Call) -> Events:
        return Events()
