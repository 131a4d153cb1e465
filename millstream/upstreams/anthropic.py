"""Anthropic's Messages API: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from millstream.dialects.messages.question import NAME
from millstream.dialects.messages.reader import Events
from millstream.dialects.messages.request import write
from millstream.dialects.models import Model
from millstream.events import Call, Event
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import Deadlines, asked, table
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.exchange import Exchange
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import Refused, refusal

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
MAX_TOKENS = 4096
LEAST_BUDGET = 1024  # tokens of thinking that the API takes
ADAPTIVE = "adaptive"


class Anthropic:
    """One `[upstreams.NAME]` of kind "anthropic". Beside outbound.SETTINGS its own settings are

    - `max_tokens` of an answer for which nobody asked with another number: the API wants one;
    - `thinking`: the tokens that the model may think with before it answers, beside those of the answer;
      "adaptive" for models that find the measure themselves, and take no number.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        address = (settings.base_url or BASE_URL).removesuffix("/v1")
        settings = replace(settings, base_url=address)
        table.check(settings, {*SETTINGS, "max_tokens", "thinking"}, BASE_URL)
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)
        self._max_tokens = table.count(settings, "max_tokens", MAX_TOKENS)
        self._thinking = _thinking(settings)
        self._secrets = (settings.api_key,)
        key = table.key(settings)
        self._exchange = Exchange(settings, {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})})

    def stream(self, call: Call) -> Generator[list[Event]]:
        body = write(asked.question(call), self._max_tokens, self._thinking)
        try:
            accepted = self._exchange.ask("/v1/messages", body, call.model)
        except Refused as refused:
            raise refusal(self.name, refused.status, refused.headers, refused.said, self._secrets) from refused
        decoder = Decoder(Events(), call, self.name, self._secrets, passing=call.api == NAME)
        yield from self._exchange.read(accepted, decoder)

    def listed(self) -> list[Model]:
        """The models that it says it has. Raises UpstreamError."""
        return self._exchange.models("/v1/models?limit=1000")


def _thinking(settings: UpstreamSettings) -> dict[str, Any]:
    """In the API's words; {} for none. Raises SettingError."""
    value: object = settings.extra.get("thinking", 0)
    if value == ADAPTIVE:  # such models don't show what they think unless they are asked to
        return {"type": ADAPTIVE, "display": "summarized"}
    if not isinstance(value, int) or 0 < value < LEAST_BUDGET or value < 0:
        raise SettingError(
            f"upstreams.{settings.name}.thinking is {value!r}; "
            f'it has to be a whole number of tokens, {LEAST_BUDGET} or more, or "{ADAPTIVE}"'
        )
    return {"type": "enabled", "budget_tokens": value} if value else {}
