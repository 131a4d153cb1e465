"""Ollama's own API: https://docs.ollama.com/api/chat"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from millstream.dialects import models
from millstream.dialects.models import Model
from millstream.dialects.ollama.question import CHAT
from millstream.dialects.ollama.reader import Lines
from millstream.dialects.ollama.request import write
from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.upstreams.answers import Payloads
from millstream.upstreams.kind import LIST, Kind, encode, whole
from millstream.wire import ndjson
from millstream.wire.sse import ServerEvent

SHOWN = 50  # models whose details are fetched


class Ollama(Kind):
    """The kind "ollama"; `base_url` is the server alone. If the address ends in /v1, use the kind "openai"."""

    example = "http://127.0.0.1:11434"
    models_path = "/api/tags"
    speaks = frozenset({CHAT})

    def listed(self) -> list[Model]:
        """Ask /api/show for each model, since the list has no capabilities."""
        found = super().listed()
        with suppress(UpstreamError, ValueError):  # an old or slow server: the abilities stay unknown
            for place, model in enumerate(found[:SHOWN]):
                shown = self._client.post("/api/show", encode({"model": model.id}), seconds=LIST[1])
                found[place] = models.shown(model.id, whole(shown)).and_(model)
        return found

    def path(self, call: Call) -> str:
        return "/api/chat"

    def request(self, call: Call) -> dict[str, Any]:
        return write(call.question)

    def reader(self, call: Call) -> Lines:
        return Lines()

    def source(self) -> Payloads:
        return Objects()


class Objects:
    """A decoder from JSON lines to events."""

    def __init__(self) -> None:
        self._lines = ndjson.Decoder()

    def feed(self, data: bytes) -> list[ServerEvent]:
        return [ServerEvent(data=line) for line in self._lines.feed(data)]

    def close(self) -> list[ServerEvent]:
        return [ServerEvent(data=line) for line in self._lines.close()]
