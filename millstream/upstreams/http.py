"""The HTTP client of the upstreams: one per upstream. It keeps connections open for the next question."""

from __future__ import annotations

import base64
import weakref
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from millstream.errors import UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets.connector import Connector
from millstream.sockets.pool import Pool
from millstream.sockets.upstream import Body, Untaken, ask
from millstream.upstreams.outbound import authority, connector, proxy_address, unreached
from millstream.wire.head import Headers, Reader
from millstream.wire.http import framing


class Response(NamedTuple):
    """A response. Its owner must `close` or `release` the body."""

    status: int
    headers: Headers
    body: Body


class Client:
    """Asks one server. It follows no redirects, never retries, and reads no proxy or netrc from the environment.

    The package `requests` would take a third of the time of a start, for features that we don't need.
    """

    def __init__(self, settings: UpstreamSettings, headers: dict[str, str]) -> None:
        self._name = settings.name
        self._url = settings.base_url
        self._connector: Connector = connector(settings, settings.base_url)
        self._pool = Pool()
        weakref.finalize(self, self._pool.close)
        parts = urlsplit(settings.base_url)
        self._path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
        lines = {
            "Host": authority(parts),
            "Accept": "text/event-stream, application/json;q=0.9",
            "Accept-Encoding": "identity",
            "User-Agent": "Millstream",
            **headers,
        }
        if parts.scheme == "http" and proxy_address(settings):  # a proxy needs the whole address (RFC 9112, 3.2.2)
            self._path = f"http://{lines['Host']}{self._path}"
            if self._connector.password:
                token = base64.b64encode(self._connector.password.encode()).decode()
                lines["Proxy-Authorization"] = f"Basic {token}"
        self._headers = lines
        self._lines = _lines(lines)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> Response:
        """Send JSON to this path under the base_url, and wait at most `seconds` for the response's head. `headers`
        replace default headers of the same name. Raises UpstreamError."""
        lines = _lines({**self._headers, **headers}) if headers else self._lines
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return self._send(path, f"POST {self._path}{path} HTTP/1.1\r\n{lines}{length}\r\n".encode() + body, seconds)

    def get(self, path: str, seconds: float) -> Response:
        """Get this path under the base_url. Otherwise like `post`."""
        return self._send(path, f"GET {self._path}{path} HTTP/1.1\r\n{self._lines}\r\n".encode(), seconds)

    def _send(self, path: str, message: bytes, seconds: float | None = None, *, anew: bool = False) -> Response:
        reader = Reader()
        try:
            sock = (None if anew else self._pool.take()) or self._connector.connect()
        except OSError as error:
            raise unreached(self._name, self._url + path, self._connector.limit, error) from error
        try:
            sock.settimeout(seconds)
            head = ask(sock, message, reader.feed)
            sock.settimeout(None)
            if head.status == 200 and (coding := head.headers.get("content-encoding", "identity")) != "identity":
                raise ValueError(f"the response has the Content-Encoding {coding}, although we asked for none")
            shape = framing(head.status, "POST", head.headers.items())
            return Response(
                head.status, head.headers, Body(sock, shape, head.rest, self._pool if head.persists else None)
            )
        except OSError as error:
            sock.close()
            if isinstance(error, Untaken) and not anew:  # it closed a kept connection in that moment
                return self._send(path, message, seconds, anew=True)
            says = f'upstream "{self._name}" closed the connection before it answered. Ask again.'
            raise UpstreamError("upstream_broke", says) from error
        except ValueError as error:
            sock.close()
            says = f'upstream "{self._name}" sent invalid HTTP at {self._url}{path} ({error})'
            raise UpstreamError("upstream_protocol", f"{says}; check its base_url.") from error
        except BaseException:  # killed
            sock.close()
            raise


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
