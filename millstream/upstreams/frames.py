"""OpenAI's frames for upstreams of another protocol, built from their texts.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator

from millstream.events import Api, Call, Event
from millstream.upstreams import Deadlines, Upstream


def speak(upstream: Upstream, api: Api) -> Upstream:
    """The upstream itself where it speaks this API, else one around it that builds the frames."""
    return upstream if api in upstream.native else Framed(upstream)


class Framed:
    """Asks for texts, and gives frames. Raises RequestError (bad_field) for what texts can't say."""

    native: frozenset[Api] = frozenset({"chat", "openai", "completions"})

    def __init__(self, upstream: Upstream) -> None:
        self.name = upstream.name
        self.deadlines: Deadlines = upstream.deadlines
        self._upstream = upstream

    def stream(self, call: Call) -> Iterator[list[Event]]:
        raise NotImplementedError  # being written
