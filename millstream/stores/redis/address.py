"""The address of Redis: https://www.iana.org/assignments/uri-schemes/prov/redis, parsed by redis-py."""

from __future__ import annotations

import ssl
from pathlib import Path

import redis.connection
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from millstream.settings import SettingError

LIMIT = 1.5  # s for a command; a slower Redis counts as unavailable
OLDEST = 6
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
OPTIONS = {"db", "ssl_check_hostname", *FILES}
LOOKS_LIKE = (
    "redis://:PASSWORD@HOST:6379/0, rediss:// for TLS, or unix:///PATH/TO/SOCKET?db=0; write @ / : # % in a password"
    " as %40 %2F %3A %23 %25"
)


class Address:
    """`shown` names it in logs, without user and password."""

    def __init__(self, url: str) -> None:
        """Parse the address. Raises SettingError, which never quotes it: any part may belong to the password."""
        try:
            found = dict(redis.connection.parse_url(url))
        except ValueError:
            raise SettingError(f"the address of Redis can't be read; it has to look like {LOOKS_LIKE}") from None
        self._class = found.pop("connection_class", redis.connection.Connection)  # on sockets that gevent has patched
        rest = url.partition("://")[2]
        known = {"username", "password", "host", "port", "path"} | OPTIONS
        if unknown := set(found) - known:
            raise SettingError(
                f"the address of Redis has the unknown option {sorted(unknown)[0]!r}; possible are"
                f" {', '.join(sorted(OPTIONS))}"
            )
        database = rest.partition("?")[0].partition("/")[2]
        if not ("path" in found or ("host" in found and (not database or database.isdigit()))):
            raise SettingError(
                f"the address of Redis has no host, or a wrong database; it has to look like {LOOKS_LIKE}"
            )
        for name in FILES:
            if name in found and not Path(found[name]).is_file():
                raise SettingError(f"the address of Redis has {name}={found[name]}: there is no such file")
        self.database = int(found.setdefault("db", 0))
        place = found.get("path") or f"{found['host']}:{found.get('port', 6379)}"
        self.shown = f"{place}/{self.database}"
        self._options = {
            **found,
            "protocol": 2,
            "driver_info": None,  # saves a round trip that old servers answer with an error
            "maint_notifications_config": None,
            "socket_connect_timeout": LIMIT,
            **({} if "path" in found else {"socket_keepalive": True}),
        }

    def connect(self) -> redis.connection.AbstractConnection:
        """A connection that is ready to use. Raises RedisError, OSError."""
        connection: redis.connection.AbstractConnection = self._class(**self._options, socket_timeout=LIMIT)
        connection.connect()
        return connection

    def pool(self, most: int) -> redis.ConnectionPool:
        """Connections, made when they are needed. Nothing is tried twice: what timed out may have been done."""
        return redis.ConnectionPool(
            connection_class=self._class,
            max_connections=most,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=LIMIT,
            **self._options,
        )

    def check(self) -> None:
        """Try to connect. Raises SettingError if waiting can't help, otherwise OSError or RedisError."""
        try:
            connection = self.connect()
        except (exceptions.AuthenticationError, exceptions.ResponseError) as error:
            raise SettingError(
                f"Redis at {self.shown} refuses us ({_kind(error)}); check user, password and database in its address"
            ) from None
        except exceptions.ConnectionError as error:
            cause = error.__context__
            if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLEOFError):
                raise
            raise SettingError(
                f"Redis at {self.shown} can't be trusted, or speaks no TLS"
                f" ({getattr(cause, 'verify_message', cause.reason)}); name who signed its certificate:"
                " rediss://…?ssl_ca_certs=/PATH/TO/CA.pem"
            ) from None
        try:
            connection.send_command("INFO", "server")
            version = _version(connection.read_response())
            connection.send_command("PING")
            connection.read_response()
        except exceptions.AuthenticationError as error:
            raise SettingError(
                f"Redis at {self.shown} wants a password ({_kind(error)}); put it into its address"
            ) from None
        except exceptions.NoPermissionError:
            return  # INFO is forbidden: assume that all is well
        finally:
            connection.disconnect()
        if version < OLDEST:
            raise SettingError(f"Redis at {self.shown} has the version {version}; it has to be {OLDEST} or newer")


def _kind(error: Exception) -> str:
    return str(error).partition(",")[0] or type(error).__name__


def _version(info: bytes) -> int:
    """The first number of redis_version; Valkey has that line, too."""
    for line in info.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "redis_version":
            return int(value.partition(".")[0])
    return OLDEST
