"""The network settings of an upstream: TLS and proxy. Also the errors for a connection that failed."""

from __future__ import annotations

import socket
import ssl
from functools import cache
from urllib.parse import SplitResult, urlsplit

import certifi

from millstream.errors import UpstreamError
from millstream.settings import Secret, SettingError, UpstreamSettings
from millstream.sockets.connector import Connector, ProxyError
from millstream.sockets.names import NameServerSilent

FILES = {"ca_file", "client_cert", "client_key"}
SETTINGS = {"proxy", *FILES}  # settings that every upstream over a network may have


def connector(settings: UpstreamSettings, base_url: str, *, tunnels: bool = False) -> Connector:
    """Return the connector for an upstream's base_url. Raises SettingError."""
    parts = urlsplit(base_url)
    # Its own files are checked even if they aren't used.
    context = _own_context(settings) if settings.extra.keys() & FILES else None
    if parts.scheme not in ("https", "wss"):
        context = None
    elif context is None:
        context = _usual_context()
    port = parts.port or (443 if context else 80)
    return Connector(parts.hostname or "", port, context, settings.connect, proxy_address(settings), tunnels=tunnels)


def authority(parts: SplitResult) -> str:
    """Format host and port for the Host header (RFC 9110, 7.2)."""
    host = parts.netloc.rpartition("@")[2]
    return host if host.isascii() else host.encode("idna").decode()


def unreached(name: str, url: str, limit: float, error: Exception) -> UpstreamError:
    """Return the error for a connection that failed. Nothing can have been billed."""
    code, says = "upstream_refused", f"refused the connection; check that it runs, and its base_url {url}"
    if isinstance(error, NameServerSilent):
        code, says = "connect_timeout", f"{error} that was asked for its address; check this machine's DNS"
    elif isinstance(error, TimeoutError):
        code, says = "connect_timeout", f"took no connection within {limit:g} s; check its base_url {url}"
    elif isinstance(error, ProxyError):
        says = f"its proxy did not connect to {url}: {error}; check its proxy"
    elif isinstance(error, ssl.SSLError):
        says = f"the TLS connection failed: {error}; check its base_url {url} and certificate"
    elif isinstance(error, socket.gaierror):
        says = f"its name was not found; check its base_url {url}"
    elif isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
        code, says = "upstream_broke", f"closed the connection before it answered; check its base_url {url}"
    return UpstreamError(code, f'upstream "{name}": {says}.', paid=False)


@cache
def _usual_context() -> ssl.SSLContext:
    """Return one TLS context for all upstreams without files of their own: certifi's certificates take 2.5 MB, and
    20 ms to read. gunicorn's workers share what the master has read."""
    return _context(certifi.where())


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _own_context(settings: UpstreamSettings) -> ssl.SSLContext:
    """Return a TLS context with the certificates to trust and our own certificate. Raises SettingError."""
    where = f"upstreams.{settings.name}"
    extra = settings.extra
    try:
        context = _context(extra.get("ca_file") or certifi.where())
    except (OSError, TypeError) as error:
        raise SettingError(
            f"{where}.ca_file is {extra['ca_file']!r}, which can't be read as certificates: {error}"
        ) from error
    cert, key = extra.get("client_cert"), extra.get("client_key")
    if key and not cert:
        raise SettingError(f"{where}.client_key needs {where}.client_cert beside it")
    if cert:
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, TypeError) as error:
            files = f"{cert!r}" + (f" and client_key {key!r}" if key else "")
            raise SettingError(
                f"{where}.client_cert is {files}, which can't be read as a certificate with its key, "
                f"both as PEM and with no passphrase: {error}"
            ) from error
    return context


def proxy_address(settings: UpstreamSettings) -> str:
    """Return the proxy's address, "" for none. Raises SettingError, which never quotes it: it may hold a password."""
    proxy = settings.extra.get("proxy")
    if not proxy:
        return ""
    address = proxy.reveal() if isinstance(proxy, Secret) else ""
    try:
        parts = urlsplit(address)
        right = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise SettingError(
            f"upstreams.{settings.name}.proxy has to be an address such as http://user:password@proxy.example:3128"
        )
    return address
