"""Any server with OpenAI's API: https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from millstream.dialects.chat import question as chat
from millstream.dialects.chat.reader import Chunks, answers_asked
from millstream.dialects.document import Document
from millstream.dialects.models import Model
from millstream.errors import UpstreamError
from millstream.events import Api, Call, Event
from millstream.settings import UpstreamSettings
from millstream.upstreams import Deadlines, asked, table
from millstream.upstreams.concessions import USAGE
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.exchange import Exchange
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import Refused, refusal

# Through these doors comes what OpenAI's servers take as it is.
PATHS: dict[Api, str] = {"chat": "/chat/completions", "openai": "/chat/completions", "completions": "/completions"}


class OpenAI:
    """One `[upstreams.NAME]` of kind "openai". Beside outbound.SETTINGS its own settings are

    - `think = true`: what stands between `<think>` and `</think>` at the beginning of an answer is reasoning;
    - `completions = false`: it has no legacy API (/completions), so that it is asked for chats instead.

    Its relatives override what a server with another address, header or request needs.
    """

    calls = True  # it has other JSON calls than chats and completions
    own = frozenset({*SETTINGS, "think", "completions"})
    example = "https://api.openai.com/v1"  # of a base_url

    def __init__(self, settings: UpstreamSettings) -> None:
        table.check(settings, self.own, self.example)
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)
        self.passes = frozenset({"openai"})  # the doors of its own dialects
        if table.flag(settings, "completions", True):
            self.passes |= {"completions"}
        self._think = table.flag(settings, "think", False)
        self._secrets = (settings.api_key,)
        self._exchange = Exchange(settings, self.headers(table.key(settings)))

    def stream(self, call: Call) -> Generator[list[Event]]:
        options = call.options.get("stream_options") or {}
        streams = {} if self.takes(call) else {"stream": True, "stream_options": {**options, **USAGE}}
        try:
            accepted = self._exchange.ask(self.path(call), {**self.request(call), **streams}, call.model)
        except Refused as refused:
            raise self.refusal(refused, call) from refused
        passing = call.api in self.passes or self.takes(call)
        chunks = Chunks(answers_asked(call.options) if passing else 1, self._think)
        reader = Document() if self.takes(call) else chunks
        yield from self._exchange.read(accepted, Decoder(reader, call, self.name, self._secrets, passing))

    def takes(self, call: Call) -> bool:
        """Whether it is a JSON call of its API, named by its path, which is passed on as it came."""
        return self.calls and call.api.startswith("/")

    def listed(self) -> list[Model]:
        """The models that it says it has. Raises UpstreamError."""
        return self._exchange.models("/models")

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def path(self, call: Call) -> str:
        return call.api if self.takes(call) else PATHS[call.api if call.api in self.passes else "chat"]

    def request(self, call: Call) -> dict[str, Any]:
        if call.api in self.passes or call.api == "chat" or self.takes(call):
            messages = {"messages": call.messages} if call.api in ("chat", "openai") else {}
            return {"model": call.model, **messages, **call.options}
        question = asked.question(call)
        return {"model": call.model, "messages": chat.messages(question), **chat.options(question)}

    def refusal(self, refused: Refused, call: Call) -> UpstreamError:
        return refusal(self.name, refused.status, refused.headers, refused.said, self._secrets)
