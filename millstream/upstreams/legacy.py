"""Servers that have only OpenAI's legacy completions: https://platform.openai.com/docs/api-reference/completions"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from millstream.dialects.completions.question import NAME
from millstream.dialects.completions.request import write
from millstream.dialects.models import Model
from millstream.events import Call
from millstream.settings import UpstreamSettings
from millstream.upstreams import table
from millstream.upstreams.openai import OpenAI

MAX_TOKENS = 1024  # the API's own default is 16


class Legacy(OpenAI):
    """The kind "completions". Its settings are `max_tokens`, used if the client sets none, and `engine`, for servers
    that want it in the path (/engines/ENGINE/completions)."""

    own = (OpenAI.own - {"completions"}) | {"engine", "max_tokens"}

    calls = False

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        self.speaks = frozenset({NAME})
        self._max_tokens = table.count(settings, "max_tokens", MAX_TOKENS)
        self._engine = table.text(settings, "engine")

    def known(self, model: str) -> Model:
        return Model(model, tools=False, vision=False)

    def path(self, call: Call) -> str:
        return f"/engines/{quote(self._engine, safe='')}/completions" if self._engine else "/completions"

    def said(self, call: Call) -> dict[str, Any]:
        model = {} if self._engine else {"model": call.model}
        return {**model, **write(call.question, self._max_tokens)}
