"""One question over HTTP: a POST, and the body of its answer or the refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from millstream.dialects import models
from millstream.dialects.fields import wrong
from millstream.dialects.models import Model
from millstream.errors import UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.upstreams import answers
from millstream.upstreams.concessions import Concessions
from millstream.upstreams.http import Client, Response
from millstream.upstreams.refusals import Refused

ERROR_BODY = 65536, 5.0  # bytes and seconds of a refusal that are read
LIST = 16 << 20, 10.0  # the same of a list of models: OpenRouter's has a megabyte


class Exchange:
    """Asks one server. `headers` are those that the adapter adds."""

    def __init__(self, settings: UpstreamSettings, headers: dict[str, str]) -> None:
        self._name = settings.name
        self._client = Client(settings, headers)
        self._concessions = Concessions()

    def ask(self, path: str, asked: dict[str, Any], model: str, headers: Mapping[str, str] | None = None) -> Body:
        """Once more where the refusal says how. Raises Refused, UpstreamError, and RequestError (bad_field)."""
        return self._concessions.ask(asked, model, lambda question: self._post(path, encode(question), headers))

    def _post(self, path: str, body: bytes, headers: Mapping[str, str] | None) -> Body:
        response = self._client.post(path, body, headers)
        if response.status != 200:
            said = response.body.beginning(*ERROR_BODY)
            if said.startswith(answers.GZIP):  # its status says enough
                said = b""
            raise Refused(response.status, response.headers, said)
        kind = response.headers.get("content-type", "")
        if not kind.lower().startswith("text/html"):
            return response.body
        response.body.close()
        raise UpstreamError(
            "upstream_protocol", f'upstream "{self._name}" answered with a web page ({kind}); check its base_url.'
        )

    def models(self, path: str) -> list[Model]:
        """The server's own list, from this path. Raises UpstreamError."""
        try:
            return models.read(self._said(self._client.get(path, LIST[1])))
        except ValueError as error:
            says = f'upstream "{self._name}" gave no list of its models at {path} ({error}); name them in `models`.'
            raise UpstreamError("upstream_protocol", says) from error

    def shown(self, path: str, name: str) -> Model:
        """Return the server's description of one model. Raises UpstreamError, ValueError."""
        return models.shown(name, self._said(self._client.post(path, encode({"model": name}), seconds=LIST[1])))

    def _said(self, response: Response) -> bytes:
        said = response.body.beginning(*LIST)
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        return said


def encode(asked: dict[str, Any]) -> bytes:
    """Raises RequestError (bad_field)."""
    try:
        return msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        field = "messages" if "messages" in asked else "prompt"
        raise wrong(field, "has half of a surrogate pair in it; send whole characters") from error
