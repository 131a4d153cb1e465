"""The HTTP client under the adapters: one for each upstream, with connections kept for the next question."""

from __future__ import annotations

import http.client
import ssl
import traceback
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProtocolError

from millstream.errors import UpstreamError
from millstream.settings import SettingError, UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.wire.http import framing

IDLE = 100  # connections kept for reuse


class Client:
    """POSTs to one address. Follows no redirect, reads no proxy and no netrc from the environment, never retries.

    requests' Session would cost a third of a start for things that are not wanted here; its adapter is enough.
    """

    def __init__(self, settings: UpstreamSettings, path: str, headers: dict[str, str]) -> None:
        self._name = settings.name
        self._connect = settings.connect
        self._adapter = _Adapter(settings)
        self._url = settings.base_url + path
        self._headers = {
            "Accept": "text/event-stream, application/json;q=0.9",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "Millstream",
            **headers,
        }

    def post(self, body: bytes) -> requests.Response:
        """Sends, and waits for the head of the response. Raises UpstreamError."""
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", self._url, body
        request.headers = CaseInsensitiveDict(self._headers)
        request.headers["Content-Length"] = str(len(body))
        request.hooks = {}
        try:
            return self._adapter.send(request, stream=True, timeout=(self._connect, None))
        except (requests.RequestException, HTTPError) as error:
            raise _unreached(self._name, self._url, self._connect, error) from error
        except BaseException as error:
            # Killed. urllib3 leaves a socket that is still connecting, or in TLS's handshake, to the garbage
            # collector, and the frames of the exception hold it as long as somebody holds the greenlet.
            traceback.clear_frames(error.__traceback__)
            raise

    def body(self, response: requests.Response) -> Body:
        """Raises UpstreamError, the connection closed, where the body is in no shape that we asked for."""
        try:
            coding = response.headers.get("Content-Encoding", "identity")
            if coding.lower() != "identity":
                raise ValueError(f"the response has the Content-Encoding {coding}, although we asked for none")
            return Body(response, framing(response.status_code, "POST", response.raw.headers.items()))
        except ValueError as error:
            response.close()
            raise UpstreamError(
                "upstream_protocol", f'upstream "{self._name}": {error}. Set its server right.'
            ) from error


class _Adapter(HTTPAdapter):
    """With one TLS context for all connections: reading the CA certificates takes 10 ms and more."""

    def __init__(self, settings: UpstreamSettings) -> None:
        ca_file = settings.extra.get("ca_file") or DEFAULT_CA_BUNDLE_PATH
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise SettingError(
                f"upstreams.{settings.name}.ca_file is {ca_file!r}, which can't be read as certificates: {error}"
            ) from error
        super().__init__(pool_connections=1, pool_maxsize=IDLE, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, *args: Any) -> None:
        """Nothing: the context verifies, and has its certificates already."""


def _unreached(name: str, url: str, limit: float, error: Exception) -> UpstreamError:
    """No response came. Only where no connection came about is it sure that nothing was paid."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    if isinstance(error, requests.ConnectTimeout):
        says = f'upstream "{name}" took no connection within {limit:g} s; check its base_url {url}'
        return UpstreamError("connect_timeout", says, paid=False)
    if isinstance(error, requests.exceptions.SSLError):
        says = f'upstream "{name}": the TLS connection failed: {cause}; check its base_url and certificate'
        return UpstreamError("upstream_refused", says, paid=False)
    if isinstance(cause, NameResolutionError):
        says = f'upstream "{name}": its name was not found; check its base_url {url}'
        return UpstreamError("upstream_refused", says, paid=False)
    if isinstance(cause, NewConnectionError):
        says = f'upstream "{name}" refused the connection; check that it runs, and its base_url {url}'
        return UpstreamError("upstream_refused", says, paid=False)
    if isinstance(error, requests.exceptions.InvalidHeader):
        return UpstreamError("upstream_protocol", f'upstream "{name}" answered with bad headers: {cause}.')
    inner = cause.args[1] if isinstance(cause, ProtocolError) and len(cause.args) > 1 else cause
    if isinstance(inner, http.client.HTTPException) and not isinstance(inner, http.client.RemoteDisconnected):
        says = f'upstream "{name}" does not speak HTTP at {url}; check its base_url'
        return UpstreamError("upstream_protocol", says)
    return UpstreamError("upstream_broke", f'upstream "{name}" closed the connection before it answered. Ask again.')
