"""Any server with OpenAI's API: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from typing import Any

from millstream.dialects.chat import request as chat
from millstream.dialects.chat.question import NAME as CHAT
from millstream.dialects.chat.reader import Chunks, answers_asked
from millstream.dialects.completions.question import NAME as COMPLETIONS
from millstream.dialects.document import Document
from millstream.dialects.reading import Reader
from millstream.events import Call
from millstream.settings import UpstreamSettings
from millstream.upstreams import table
from millstream.upstreams.concessions import USAGE
from millstream.upstreams.kind import Kind
from millstream.upstreams.outbound import SETTINGS


class OpenAI(Kind):
    """The kind "openai". Its settings, besides outbound.SETTINGS, are

    - `think = true`: text between `<think>` and `</think>` at the beginning of an answer is reasoning;
    - `completions = false`: the server has no legacy API (/completions), so send chats instead.

    Subclasses override the address, headers or request.
    """

    calls = True  # it has further JSON calls, such as embeddings
    own = frozenset({*SETTINGS, "think", "completions"})
    example = "https://api.openai.com/v1"

    def __init__(self, settings: UpstreamSettings) -> None:
        super().__init__(settings)
        self.speaks = frozenset({CHAT})
        if table.flag(settings, "completions", True):
            self.speaks |= {COMPLETIONS}
        self._think = table.flag(settings, "think", False)

    def passes(self, call: Call) -> bool:
        return super().passes(call) or self.takes(call)

    def takes(self, call: Call) -> bool:
        return self.calls and bool(call.path)

    def path(self, call: Call) -> str:
        if self.takes(call):
            return call.path
        return "/completions" if self._is_legacy(call) else "/chat/completions"

    def request(self, call: Call) -> dict[str, Any]:
        if self.takes(call):
            return {**call.question.body, "model": call.model}
        said = self.said(call)
        return {**said, "stream": True, "stream_options": {**(said.get("stream_options") or {}), **USAGE}}

    def said(self, call: Call) -> dict[str, Any]:
        """Return the question's body. Bodies of /chat use OpenAI's field names, too."""
        write = chat.as_it_came if self._is_legacy(call) else chat.write
        return {"model": call.model, **write(call.question)}

    def reader(self, call: Call) -> Reader:
        if self.takes(call):
            return Document()
        return Chunks(answers_asked(call.question.body) if self.passes(call) else 1, self._think)

    def _is_legacy(self, call: Call) -> bool:
        return call.question.is_in(COMPLETIONS) and self.passes(call)
