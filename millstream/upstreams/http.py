"""The HTTP client under the adapters: one for each upstream, with connections kept for the next question."""

from __future__ import annotations

import http.client
import traceback
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProtocolError

from millstream.errors import UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets.upstream import Body
from millstream.upstreams.outbound import proxy_address, tls_context
from millstream.wire.http import framing

IDLE = 100  # connections kept for reuse


class Client:
    """POSTs to one server. Follows no redirect, reads no proxy and no netrc from the environment, never retries.

    requests' Session would cost a third of a start for things that are not wanted here; its adapter is enough.
    """

    def __init__(self, settings: UpstreamSettings, headers: dict[str, str]) -> None:
        self._name = settings.name
        self._connect = settings.connect
        self._adapter = _Adapter(settings)
        proxy = proxy_address(settings)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._base_url = settings.base_url
        self._headers = {
            "Accept": "text/event-stream, application/json;q=0.9",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "Millstream",
            **headers,
        }

    def post(self, path: str, body: bytes) -> requests.Response:
        """Sends to this path under the base_url, and waits for the head of the response. Raises UpstreamError."""
        url = self._base_url + path
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", url, body
        request.headers = CaseInsensitiveDict(self._headers)
        request.headers["Content-Length"] = str(len(body))
        request.hooks = {}
        try:
            return self._adapter.send(request, stream=True, timeout=(self._connect, None), proxies=self._proxies)
        except (requests.RequestException, HTTPError) as error:
            raise _unreached(self._name, url, self._connect, error) from error
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
        self._context = tls_context(settings)
        super().__init__(pool_connections=1, pool_maxsize=IDLE, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def cert_verify(self, *args: Any) -> None:
        """Nothing: the context verifies, and has its certificates already."""


def _unreached(name: str, url: str, limit: float, error: Exception) -> UpstreamError:
    """No response came. Only where no connection came about is it sure that nothing was paid."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    # There is no limit but that for connecting: a read that was too slow was one of TLS, or of the proxy.
    if isinstance(error, requests.Timeout):
        says = f'upstream "{name}" took no connection within {limit:g} s; check its base_url {url}'
        return UpstreamError("connect_timeout", says, paid=False)
    if isinstance(error, requests.exceptions.SSLError):
        says = f'upstream "{name}": the TLS connection failed: {cause}; check its base_url and certificate'
        return UpstreamError("upstream_refused", says, paid=False)
    if isinstance(error, requests.exceptions.ProxyError):
        why = str(getattr(cause, "original_error", cause)).rpartition(": ")[2]  # the first part names classes
        says = f'upstream "{name}": its proxy did not connect to {url}: {why}; check its proxy'
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
