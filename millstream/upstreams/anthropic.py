"""Anthropic's Messages API: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from millstream.dialects.messages.question import NAME
from millstream.dialects.messages.reader import Events
from millstream.dialects.messages.request import ADAPTIVE, LEAST_BUDGET, write
from millstream.events import Call
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import table
from millstream.upstreams.kind import Kind
from millstream.upstreams.outbound import SETTINGS

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
MAX_TOKENS = 4096


class Anthropic(Kind):
    """The kind "anthropic". Its settings, besides outbound.SETTINGS, are

    - `max_tokens`: the length of an answer if the client sets none, because the API requires a number;
    - `thinking`: the number of tokens for thinking, in addition to those of the answer. Use "adaptive" for models
      that choose the number themselves. With 0 the model never thinks. If unset, it thinks if the client asks for an
      effort.
    """

    own = frozenset({*SETTINGS, "max_tokens", "thinking"})
    example = BASE_URL
    models_path = "/v1/models?limit=1000"
    speaks = frozenset({NAME})

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(replace(settings, base_url=(settings.base_url or BASE_URL).removesuffix("/v1")))
        self._max_tokens = table.count(settings, "max_tokens", MAX_TOKENS)
        self._thinking = _thinking(settings)

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def path(self, call: Call) -> str:
        return "/v1/messages"

    def request(self, call: Call) -> dict[str, Any]:
        return write(call.question, self._max_tokens, self._thinking)

    def reader(self, call: Call) -> Events:
        return Events()


def _thinking(settings: UpstreamSettings) -> dict[str, Any] | None:
    """Return the API's field `thinking`; {} for none, None if unset. Raises SettingError."""
    value: object = settings.extra.get("thinking")
    if value is None:
        return None
    if value == ADAPTIVE["type"]:
        return ADAPTIVE
    if not isinstance(value, int) or 0 < value < LEAST_BUDGET or value < 0:
        raise SettingError(
            f"upstreams.{settings.name}.thinking is {value!r}; "
            f'it has to be a whole number of tokens, {LEAST_BUDGET} or more, or "{ADAPTIVE["type"]}"'
        )
    return {"type": "enabled", "budget_tokens": value} if value else {}
