"""The way out to an upstream: its TLS and its proxy, by setting alone."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from millstream.settings import Secret, SettingError, UpstreamSettings

SETTINGS = {"proxy", "ca_file", "client_cert", "client_key"}  # what every upstream over a network may have of its own


def tls_context(settings: UpstreamSettings) -> ssl.SSLContext:
    """Whom to believe, and who we are. Raises SettingError."""
    where = f"upstreams.{settings.name}"
    extra = settings.extra
    try:
        context = ssl.create_default_context(cafile=extra.get("ca_file") or DEFAULT_CA_BUNDLE_PATH)
    except (OSError, TypeError) as error:
        raise SettingError(
            f"{where}.ca_file is {extra['ca_file']!r}, which can't be read as certificates: {error}"
        ) from error
    cert, key = extra.get("client_cert"), extra.get("client_key")
    if key and not cert:
        raise SettingError(f"{where}.client_key needs {where}.client_cert beside it")
    if cert:
        try:
            # With no password OpenSSL would ask for it on the terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, TypeError) as error:
            files = f"{cert!r}" + (f" and client_key {key!r}" if key else "")
            raise SettingError(
                f"{where}.client_cert is {files}, which can't be read as a certificate with its key, "
                f"both as PEM and with no passphrase: {error}"
            ) from error
    return context


def proxy_address(settings: UpstreamSettings) -> str:
    """The proxy's address, "" for none. Raises SettingError, which shows nothing of it: it may hold a password."""
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
