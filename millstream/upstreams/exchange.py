"""One question over HTTP: a POST, and the body of its answer or the refusal."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple

import requests

from millstream.errors import UpstreamError
from millstream.events import Event
from millstream.settings import UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.upstreams import answers
from millstream.upstreams.http import Client

ERROR_BODY = 65536, 5.0  # bytes and seconds of a refusal that are read


class Accepted(NamedTuple):
    """The body of a response with status 200, which somebody has to read, and its Content-Type."""

    body: Body
    kind: str


class Refused(Exception):
    """A status other than 200, and the beginning of what was said with it. Its own text is empty: there may be a
    key in what was said."""

    def __init__(self, status: int, headers: Mapping[str, str], said: bytes) -> None:
        super().__init__()
        self.status = status
        self.headers = headers
        self.said = said


class Exchange:
    """Asks one server. `headers` are those that the adapter adds."""

    def __init__(self, settings: UpstreamSettings, headers: dict[str, str]) -> None:
        self._name = settings.name
        self._client = Client(settings, headers)

    def ask(self, path: str, body: bytes) -> Accepted:
        """Raises Refused, and UpstreamError."""
        response = self._client.post(path, body)
        if response.status_code != 200:
            raise Refused(response.status_code, response.headers, self._said(response))
        kind = response.headers.get("Content-Type", "")
        if not kind.lower().startswith("text/html"):
            return Accepted(self._client.body(response), kind)
        response.close()
        raise UpstreamError(
            "upstream_protocol", f'upstream "{self._name}" answered with a web page ({kind}); check its base_url.'
        )

    def read(self, accepted: Accepted, decoder: answers.Decoder) -> Generator[list[Event]]:
        """What Upstream.stream gives. The connection is kept if the answer was whole, else closed."""
        body, kind = accepted
        try:
            yield from answers.read(body, answers.payloads(kind), decoder, self._name)
        finally:
            if decoder.done:
                body.release()
            else:
                body.close()

    def _said(self, response: requests.Response) -> bytes:
        try:
            body = self._client.body(response)
        except UpstreamError:  # its status says enough
            return b""
        try:
            return body.beginning(*ERROR_BODY)
        finally:
            body.release(tail=0)
