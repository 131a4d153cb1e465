"""Any server with OpenAI's API: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from millstream.errors import RequestError, UpstreamError
from millstream.events import Api, Call, Event
from millstream.settings import UpstreamSettings
from millstream.upstreams import Deadlines, table
from millstream.upstreams.completion import Decoder
from millstream.upstreams.exchange import Accepted, Exchange, Refused
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import refusal

PATHS: dict[Api, str] = {"chat": "/chat/completions", "openai": "/chat/completions", "completions": "/completions"}
USAGE = {"stream_options": {"include_usage": True}}


class OpenAI:
    """One `[upstreams.NAME]` of kind "openai". Beside outbound.SETTINGS its own settings are

    - `think = true`: what stands between `<think>` and `</think>` at the beginning of an answer is reasoning;
    - `completions = false`: it has no legacy API (/completions), so that it is asked for chats instead.

    Its relatives override what a server with another address, header or request needs.
    """

    own = frozenset({*SETTINGS, "think", "completions"})
    example = "https://api.openai.com/v1"  # of a base_url

    def __init__(self, settings: UpstreamSettings) -> None:
        table.check(settings, self.own, self.example)
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)
        self.native: frozenset[Api] = frozenset({"chat", "openai"})
        if table.flag(settings, "completions", True):
            self.native |= {"completions"}
        self._think = table.flag(settings, "think", False)
        self._secrets = (settings.api_key,)
        self._exchange = Exchange(settings, self.headers(table.key(settings)))
        self._usage = True  # it is asked for, until a server complains of that

    def stream(self, call: Call) -> Generator[list[Event]]:
        accepted = self._ask(call)
        yield from self._exchange.read(accepted, Decoder(call, self.name, self._secrets, self._think))

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def path(self, call: Call) -> str:
        return PATHS[call.api]

    def request(self, call: Call) -> dict[str, Any]:
        messages = {} if call.api == "completions" else {"messages": call.messages}
        return {"model": call.model, **messages, **call.options}

    def refusal(self, refused: Refused, call: Call) -> UpstreamError:
        return refusal(self.name, refused.status, refused.headers, refused.said, self._secrets)

    def _ask(self, call: Call) -> Accepted:
        usage = self._usage
        asked = {**self.request(call), "stream": True, **(USAGE if usage else {})}
        try:
            return self._exchange.ask(self.path(call), encode(asked))
        except Refused as refused:
            if not (usage and _complains_of_usage(refused)):
                raise self.refusal(refused, call) from refused
        self._usage = False
        return self._ask(call)


def encode(asked: dict[str, Any]) -> bytes:
    """Raises RequestError (bad_field)."""
    try:
        return msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        field = "messages" if "messages" in asked else "prompt"
        raise RequestError(
            "bad_field", f"{field} has half of a surrogate pair in it; send whole characters.", field
        ) from error


def _complains_of_usage(refused: Refused) -> bool:
    return refused.status in (400, 422) and any(
        name in refused.said for name in (b"stream_options", b"include_usage")
    )
