"""The WebSocket client under the adapters: one connection for each question."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from millstream.errors import UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets.websocket import Connection
from millstream.upstreams.outbound import authority, connector, unreached


class Client:
    """Connects to one server. Follows no redirect and reads no proxy from the environment."""

    def __init__(self, settings: UpstreamSettings, base_url: str) -> None:
        self.host = authority(urlsplit(base_url))  # as the Host header and signatures have it
        self._name = settings.name
        self._url = base_url
        self._connector = connector(settings, base_url, tunnels=True)

    def connect(self, target: str) -> Connection:
        """TCP, TLS and the upgrade, within the limit for connecting. Raises Refused, UpstreamError.

        Nothing has been asked yet: whatever happens here can't be paid.
        """
        limit = self._connector.limit
        deadline = time.monotonic() + limit
        try:
            connection = Connection(self._connector.connect())
            try:
                connection.upgrade(self.host, target, deadline)
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise unreached(self._name, self._url, limit, error) from error
        except ValueError as error:
            says = f'upstream "{self._name}": does not speak WebSocket ({error}); check its base_url {self._url}.'
            raise UpstreamError("upstream_protocol", says, paid=False) from error
        return connection
