"""A kind of upstream that is asked over HTTP: a dialect, an address, and a way to sign."""

from __future__ import annotations

from typing import Any, ClassVar

from millstream.dialects.models import Model
from millstream.dialects.reading import Reader
from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.settings import UpstreamSettings
from millstream.upstreams import Deadlines, Plain, questioned, table
from millstream.upstreams.answers import Answer, Payloads, Sniffed
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.exchange import Exchange
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import Refused, refusal


class Kind(Plain):
    """One `[upstreams.NAME]`. What a kind adds to this: `path`, `request` and `reader`.

    `own` are its settings, `example` is one of a base_url; at `models_path` it says which models it has. Questions in
    its own dialects, `speaks`, pass as they came, and so do its frames.
    """

    lists = True
    own: ClassVar[frozenset[str]] = frozenset(SETTINGS)
    example: ClassVar[str]
    models_path: ClassVar[str] = "/models"
    speaks: frozenset[str] = frozenset()

    def __init__(self, settings: UpstreamSettings) -> None:
        table.check(settings, self.own, self.example)
        self.name = settings.name
        self.models = settings.models
        self.deadlines = Deadlines(settings.connect, settings.first_token, settings.silence, settings.total)
        self._secrets = (settings.api_key,)
        self._exchange = Exchange(settings, self.headers(table.key(settings)))

    def ask(self, call: Call) -> Answer:
        if not self.takes(call):
            questioned(call)
        try:
            headers = call.headers if self.passes(call) else None
            body = self._exchange.ask(self.path(call), self.request(call), call.model, headers)
        except Refused as refused:
            raise self.refusal(refused, call) from refused
        decoder = Decoder(self.reader(call), call, self.name, self._secrets, passing=self.passes(call))
        return Answer(body, self.source(), decoder, self.name)

    def passes(self, call: Call) -> bool:
        """Return True if the question and its frames are passed through unchanged."""
        return call.passing and call.question.is_in(*self.speaks)

    def takes(self, call: Call) -> bool:
        """Return True if this is a JSON call of its API, named by its path, which is passed through unchanged."""
        return False

    def listed(self) -> list[Model]:
        """The models that it says it has. Raises UpstreamError."""
        return self._exchange.models(self.models_path)

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def path(self, call: Call) -> str:
        """Under the base_url."""
        raise NotImplementedError

    def request(self, call: Call) -> dict[str, Any]:
        """The body. Raises RequestError for what the dialect has no words for."""
        raise NotImplementedError

    def reader(self, call: Call) -> Reader:
        raise NotImplementedError

    def source(self) -> Payloads:
        """What cuts the body in payloads."""
        return Sniffed()

    def refusal(self, refused: Refused, call: Call) -> UpstreamError:
        return refusal(self.name, refused.status, refused.headers, refused.said, self._secrets)
