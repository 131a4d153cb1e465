"""The base of all kinds of upstream that speak HTTP: a dialect, an address, and a way to sign requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from millstream.dialects import models
from millstream.dialects.fields import wrong
from millstream.dialects.models import Model
from millstream.dialects.reading import Reader
from millstream.errors import UpstreamError
from millstream.events import Call
from millstream.settings import UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.upstreams import Configured, questioned, table
from millstream.upstreams.answers import GZIP, Answer, Payloads, Sniffed
from millstream.upstreams.concessions import Concessions
from millstream.upstreams.decoder import Decoder
from millstream.upstreams.http import Client, Response
from millstream.upstreams.outbound import SETTINGS
from millstream.upstreams.refusals import Refused, refusal

ERROR_BODY = 65536, 5.0  # bytes and seconds to read of an error's body
LIST = 16 << 20, 10.0  # the same for a list of models: OpenRouter's has a megabyte


class Kind(Configured):
    """One `[upstreams.NAME]`. A kind defines `path`, `request` and `reader`.

    `own` lists its settings; `example` is an example of a base_url; `models_path` is the address of its list of
    models. Questions in its dialects (`speaks`) and its frames are passed on unchanged.
    """

    lists = True
    own: ClassVar[frozenset[str]] = frozenset(SETTINGS)
    example: ClassVar[str]
    models_path: ClassVar[str] = "/models"
    speaks: frozenset[str] = frozenset()

    def __init__(self, settings: UpstreamSettings) -> None:
        table.check(settings, self.own, self.example)
        super().__init__(settings)
        self._secrets = (settings.api_key,)
        self._client = Client(settings, self.headers(table.key(settings)))
        self._concessions = Concessions()

    def ask(self, call: Call) -> Answer:
        """Ask, and ask again if the refusal says what to change."""
        if not self.takes(call):
            questioned(call)
        path, headers = self.path(call), call.headers if self.passes(call) else None
        try:
            body = self._concessions.ask(self.request(call), call.model, lambda said: self._post(path, said, headers))
        except Refused as refused:
            raise self.refusal(refused, call) from refused
        decoder = Decoder(self.reader(call), call, self.name, self._secrets, passing=self.passes(call))
        return Answer(body, self.source(), decoder, self.name)

    def _post(self, path: str, asked: dict[str, Any], headers: Mapping[str, str] | None) -> Body:
        response = self._client.post(path, encode(asked), headers)
        if response.status != 200:
            said = response.body.beginning(*ERROR_BODY)
            # Don't read a compressed body: the status says enough.
            raise Refused(response.status, response.headers, b"" if said.startswith(GZIP) else said)
        kind = response.headers.get("content-type", "")
        if not kind.lower().startswith("text/html"):
            return response.body
        response.body.close()
        says = f'upstream "{self.name}" answered with a web page ({kind}); check its base_url.'
        raise UpstreamError("upstream_protocol", says)

    def passes(self, call: Call) -> bool:
        """Return True if the question and its frames are passed through unchanged."""
        return call.passing and call.question.is_in(*self.speaks)

    def takes(self, call: Call) -> bool:
        """Return True if this is a JSON call of its API, named by its path, which is passed through unchanged."""
        return False

    def listed(self) -> list[Model]:
        path = self.models_path
        try:
            return models.read(whole(self._client.get(path, LIST[1])))
        except ValueError as error:
            says = f'upstream "{self.name}" gave no list of its models at {path} ({error}); name them in `models`.'
            raise UpstreamError("upstream_protocol", says) from error

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def path(self, call: Call) -> str:
        """Return the path under the base_url."""
        raise NotImplementedError

    def request(self, call: Call) -> dict[str, Any]:
        """Return the body. Raises RequestError for anything that the dialect can't express."""
        raise NotImplementedError

    def reader(self, call: Call) -> Reader:
        raise NotImplementedError

    def source(self) -> Payloads:
        """Return the decoder that splits the body into payloads."""
        return Sniffed()

    def refusal(self, refused: Refused, call: Call) -> UpstreamError:
        return refusal(self.name, refused.status, refused.headers, refused.said, self._secrets)


def encode(asked: dict[str, Any]) -> bytes:
    """Encode the body as JSON. Raises RequestError (bad_field)."""
    try:
        return msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        field = "messages" if "messages" in asked else "prompt"
        raise wrong(field, "has half of a surrogate pair in it; send whole characters") from error


def whole(response: Response) -> bytes:
    """Return the body of a short response. Raises ValueError if the status is an error."""
    said = response.body.beginning(*LIST)
    if response.status != 200:
        raise ValueError(f"HTTP {response.status}")
    return said
