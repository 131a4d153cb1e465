"""The WebSocket client under the adapters: one connection for each question."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import unquote, urlsplit

from millstream.errors import UpstreamError
from millstream.settings import UpstreamSettings
from millstream.sockets.tunnel import tunnel
from millstream.sockets.websocket import Connection, left
from millstream.upstreams.outbound import proxy_address, tls_context


class Client:
    """Connects to one server. Follows no redirect and reads no proxy from the environment."""

    def __init__(self, settings: UpstreamSettings, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.host = parts.netloc  # as the Host header and signatures have it: with the port, if there is one
        self._name = settings.name
        self._url = base_url
        self._limit = settings.connect
        self._hostname = parts.hostname or ""
        self._context = tls_context(settings) if parts.scheme == "wss" else None
        self._port = parts.port or (443 if self._context else 80)
        self._proxy = proxy_address(settings)

    def connect(self, target: str) -> Connection:
        """TCP, TLS and the upgrade, within the limit for connecting. Raises Refused, UpstreamError.

        Nothing has been asked yet: whatever happens here can't be paid.
        """
        deadline = time.monotonic() + self._limit
        try:
            connection = Connection(self._secure(self._reach(deadline), deadline))
            try:
                connection.upgrade(self.host, target, deadline)
            except BaseException:
                connection.close()
                raise
        except (OSError, ValueError) as error:
            raise self._unreached(error) from error
        return connection

    def _reach(self, deadline: float) -> socket.socket:
        if not self._proxy:
            return _connected(self._hostname, self._port, deadline)
        proxy = urlsplit(self._proxy)
        sock = _connected(proxy.hostname or "", proxy.port or 80, deadline)
        password = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}" if proxy.username else ""
        try:
            tunnel(sock, self._hostname, self._port, password, deadline)
        except BaseException:
            sock.close()
            raise
        return sock

    def _secure(self, sock: socket.socket, deadline: float) -> socket.socket:
        if self._context is None:
            return sock
        try:
            sock.settimeout(left(deadline))
            sock = self._context.wrap_socket(sock, server_hostname=self._hostname, do_handshake_on_connect=False)
            sock.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock

    def _unreached(self, error: Exception) -> UpstreamError:
        code, says = "upstream_refused", f"refused the connection ({error}); check that it runs, and its base_url"
        if isinstance(error, TimeoutError):
            code, says = "connect_timeout", f"took no connection within {self._limit:g} s; check its base_url"
        elif isinstance(error, ssl.SSLError):
            says = f"the TLS connection failed: {error}; check its certificate and base_url"
        elif isinstance(error, socket.gaierror):
            says = "its name was not found; check its base_url"
        elif isinstance(error, ValueError):
            code, says = "upstream_protocol", f"speaks no WebSocket ({error}); check its base_url"
        elif isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
            code, says = "upstream_broke", "closed the connection before it answered; check its base_url"
        return UpstreamError(code, f'upstream "{self._name}": {says} {self._url}.', paid=False)


def _connected(hostname: str, port: int, deadline: float) -> socket.socket:
    """The first of the name's addresses that takes the connection. Raises OSError."""
    trouble: OSError = ConnectionError("its name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left(deadline))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            trouble = error
        except BaseException:  # killed
            sock.close()
            raise
    raise trouble
