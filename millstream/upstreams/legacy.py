"""Servers that have OpenAI's legacy completions only: https://platform.openai.com/docs/api-reference/completions

A conversation becomes one prompt. A single message is the prompt as it stands; several become

    what the system message says

    User: …

    Assistant: …

    User: …

    Assistant:

and the model is told to stop where it begins to speak for the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from millstream.events import Api, Call
from millstream.settings import UpstreamSettings
from millstream.upstreams import table
from millstream.upstreams.estimate import text_of
from millstream.upstreams.openai import OpenAI

SPEAKERS = {"user": "User: ", "assistant": "Assistant: "}
STOP = "\nUser:"
MOST_STOPS = 4  # that the API takes
MAX_TOKENS = 1024  # the API's own default is 16


class Legacy(OpenAI):
    """One `[upstreams.NAME]` of kind "completions". Its own settings: `max_tokens` of an answer for which nobody
    asked with another number, and `engine`, for servers that want it in the path (/engines/ENGINE/completions)."""

    own = (OpenAI.own - {"completions"}) | {"engine", "max_tokens"}

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        self.native: frozenset[Api] = frozenset({"chat", "completions"})
        self._max_tokens = table.count(settings, "max_tokens", MAX_TOKENS)
        self._engine = table.text(settings, "engine")

    def path(self, call: Call) -> str:
        return f"/engines/{quote(self._engine, safe='')}/completions" if self._engine else "/completions"

    def request(self, call: Call) -> dict[str, Any]:
        model = {} if self._engine else {"model": call.model}
        return {**model, **(call.options if call.api == "completions" else self._completion(call))}

    def _completion(self, call: Call) -> dict[str, Any]:
        asked = {"prompt": prompt(call.messages), "max_tokens": self._max_tokens, **call.options}
        if len(call.messages) > 1:
            stop = asked.get("stop") or []
            asked["stop"] = [*([stop] if isinstance(stop, str) else stop), STOP][:MOST_STOPS]
        return asked


def prompt(messages: Sequence[dict[str, Any]]) -> str:
    """The messages as one text, as said above."""
    said = [(SPEAKERS.get(message["role"], ""), text_of(message.get("content"))) for message in messages]
    if len(said) == 1:
        return said[0][1]
    return "\n\n".join([*(speaker + text for speaker, text in said), "Assistant:"])
