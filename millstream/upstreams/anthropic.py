"""Anthropic's Messages API: https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from millstream.errors import RequestError
from millstream.events import Api, Call, Event
from millstream.settings import SettingError, UpstreamSettings
from millstream.upstreams import Deadlines, table
from millstream.upstreams.anthropic_events import Decoder
from millstream.upstreams.estimate import text_of
from millstream.upstreams.exchange import Exchange
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import Refused, refusal

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
MAX_TOKENS = 4096
LEAST_BUDGET = 1024  # tokens of thinking that the API takes
ADAPTIVE = "adaptive"
TURNS = ("user", "assistant")  # all other messages go into `system`


class Anthropic:
    """One `[upstreams.NAME]` of kind "anthropic". Beside outbound.SETTINGS its own settings are

    - `max_tokens` of an answer for which nobody asked with another number: the API wants one;
    - `thinking`: the tokens that the model may think with before it answers, beside those of the answer;
      "adaptive" for models that find the measure themselves, and take no number.
    """

    native: frozenset[Api] = frozenset({"chat"})
    options = frozenset({"top_k"})  # beside what every upstream is asked with

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
        asked = request(call, self._max_tokens, self._thinking)
        try:
            accepted = self._exchange.ask("/v1/messages", asked, call.model)
        except Refused as refused:
            raise refusal(self.name, refused.status, refused.headers, refused.said, self._secrets) from refused
        yield from self._exchange.read(accepted, Decoder(call, self.name, self._secrets))


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


# -- a question in the API's words. Pure ---------------------------------------------------------------------------


def request(call: Call, max_tokens: int, thinking: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError (bad_field) where nothing is left to answer to."""
    options = call.options
    asked: dict[str, Any] = {"model": call.model, "messages": _turns(call.messages), "stream": True}
    if system := "\n\n".join(text for role, text in _said(call.messages) if role not in TURNS):
        asked["system"] = system
    asked["max_tokens"] = options.get("max_tokens", max_tokens) + thinking.get("budget_tokens", 0)
    if stop := options.get("stop"):
        asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if thinking:  # and then the API takes no temperature, top_p and top_k
        return {**asked, "thinking": thinking}
    asked |= {name: options[name] for name in ("temperature", "top_p", "top_k") if name in options}
    if "temperature" in asked and asked.get("top_p") == 1:  # it says nothing, and newer models refuse both
        del asked["top_p"]
    if "temperature" in asked:  # OpenAI's goes up to 2
        asked["temperature"] = min(max(asked["temperature"], 0), 1)
    return asked


def _turns(messages: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Empty messages (of an answer that was stopped before its first token) are refused, so they are left out; the
    API itself joins what one side says in a row."""
    turns = [{"role": role, "content": text} for role, text in _said(messages) if role in TURNS]
    if not turns:
        raise RequestError("bad_field", "messages has nothing of the user; send a message with text.", "messages")
    return turns


def _said(messages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    said = [(message["role"], text_of(message.get("content"))) for message in messages]
    return [(role, text) for role, text in said if text.strip()]
