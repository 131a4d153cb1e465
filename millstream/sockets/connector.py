"""Opens connections to one server: names, TCP, its proxy, TLS, all within one limit."""

from __future__ import annotations

import socket
import ssl
import time
from urllib.parse import unquote, urlsplit

from millstream.sockets.accepting import keep_alive
from millstream.sockets.names import NAMES, Names
from millstream.sockets.tunnel import tunnel


class ProxyError(OSError):
    """The proxy is away, or says no."""


class Connector:
    """`proxy` is the address of an HTTP proxy, or ""; where there is TLS, or with `tunnels`, it is asked for a
    tunnel, else the connection ends at it."""

    def __init__(
        self,
        hostname: str,
        port: int,
        context: ssl.SSLContext | None,
        limit: float,
        proxy: str = "",
        *,
        tunnels: bool = False,
        names: Names = NAMES,
    ) -> None:
        self._server = hostname, port
        self._context = context
        self.limit = limit
        self._names = names
        parts = urlsplit(proxy)
        self._proxy = (parts.hostname or "", parts.port or 80) if proxy else None
        self.password = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        self._tunnels = tunnels or context is not None

    def connect(self) -> socket.socket:
        """Connect. Raises OSError, including ProxyError, TimeoutError, NameServerSilent, ssl.SSLError and
        socket.gaierror."""
        deadline = time.monotonic() + self.limit
        sock = self._reach(deadline)
        try:
            if self._context is not None:
                sock.settimeout(left(deadline))
                # A separate handshake: if it fails, the socket is still ours to close.
                sock = self._context.wrap_socket(sock, server_hostname=self._server[0], do_handshake_on_connect=False)
                sock.do_handshake()
            sock.settimeout(None)  # other code watches the deadlines
        except BaseException:
            sock.close()
            raise
        return sock

    def _reach(self, deadline: float) -> socket.socket:
        if self._proxy is None:
            return self._connected(*self._server, deadline)
        try:
            sock = self._connected(*self._proxy, deadline)
            try:
                if self._tunnels:
                    tunnel(sock, *self._server, self.password, deadline)
            except BaseException:
                sock.close()
                raise
            return sock
        except TimeoutError:
            raise
        except OSError as error:
            raise ProxyError(str(error)) from error

    def _connected(self, hostname: str, port: int, deadline: float) -> socket.socket:
        """The first of the name's addresses that takes the connection."""
        addresses = self._names.addresses(hostname, port, left(deadline))
        trouble: OSError = ConnectionError("its name has no address")
        for n, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                # Each address gets its share of the remaining time: the first may be IPv6 without a route.
                sock.settimeout(left(deadline) / (len(addresses) - n))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                keep_alive(sock)
                return sock
            except OSError as error:
                sock.close()
                trouble = error
            except BaseException:  # killed
                sock.close()
                raise
        raise trouble


def left(deadline: float) -> float:
    """Seconds, never 0: that would mean not to wait at all."""
    return max(deadline - time.monotonic(), 0.001)
