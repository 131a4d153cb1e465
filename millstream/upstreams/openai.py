"""Any server with OpenAI's API: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from typing import Any

from millstream.dialects.chat import request as chat
from millstream.dialects.chat.reader import Chunks, answers_asked
from millstream.dialects.document import Document
from millstream.dialects.reading import Reader
from millstream.events import Api, Call
from millstream.settings import UpstreamSettings
from millstream.upstreams import asked, table
from millstream.upstreams.concessions import USAGE
from millstream.upstreams.kind import Kind
from millstream.upstreams.outbound import SETTINGS

PATHS: dict[Api, str] = {"chat": "/chat/completions", "openai": "/chat/completions", "completions": "/completions"}


class OpenAI(Kind):
    """The kind "openai". Beside outbound.SETTINGS its own settings are

    - `think = true`: what stands between `<think>` and `</think>` at the beginning of an answer is reasoning;
    - `completions = false`: it has no legacy API (/completions), so that it is asked for chats instead.

    Its relatives override what a server with another address, header or request needs.
    """

    calls = True  # it has other JSON calls than chats and completions
    own = frozenset({*SETTINGS, "think", "completions"})
    example = "https://api.openai.com/v1"

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        self.doors = frozenset({"openai"})
        if table.flag(settings, "completions", True):
            self.doors |= {"completions"}
        self._think = table.flag(settings, "think", False)

    def passes(self, call: Call) -> bool:
        return super().passes(call) or self.takes(call)

    def takes(self, call: Call) -> bool:
        """Whether it is a JSON call of its API, named by its path, which is passed on as it came."""
        return self.calls and call.api.startswith("/")

    def path(self, call: Call) -> str:
        return call.api if self.takes(call) else PATHS[call.api if self.passes(call) else "chat"]

    def request(self, call: Call) -> dict[str, Any]:
        if self.takes(call):
            return {"model": call.model, **call.options}
        options = call.options.get("stream_options") or {}
        return {**self.said(call), "stream": True, "stream_options": {**options, **USAGE}}

    def said(self, call: Call) -> dict[str, Any]:
        """The question. /chat, too, has the words that OpenAI's servers take as they are."""
        if self.passes(call) or call.api == "chat":
            messages = {} if call.api == "completions" else {"messages": call.messages}
            return {"model": call.model, **messages, **call.options}
        return {"model": call.model, **chat.write(asked.question(call))}

    def reader(self, call: Call) -> Reader:
        if self.takes(call):
            return Document()
        return Chunks(answers_asked(call.options) if self.passes(call) else 1, self._think)
