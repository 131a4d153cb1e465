"""Decide who may ask: holders of access keys or, if there are no keys, pages and programs on the server itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from millstream.access.keyring import Keyring
from millstream.access.origin import LOOPBACK, Headers, check_origin, check_page, check_way, unsaid
from millstream.access.sessions import Session, Sessions, is_same
from millstream.errors import RequestError
from millstream.settings import KeySettings, Settings

__all__ = ["Access", "Caller", "Headers"]

ANYONE = "anyone"  # the caller's name where there are no keys
MAKE_ONE = "To ask from elsewhere, make an operator's key: millstream keys add NAME --operator."
CHALLENGE = 'Bearer realm="Millstream"'  # RFC 6750, 3


@dataclass(frozen=True)
class Caller:
    """The sender of a request. Its name owns the streams and stands in the ledger. `key` is None if there are no
    keys. `address` is the client's, as reported by trusted proxies. `session` is set if a browser has logged in."""

    name: str
    key: KeySettings | None = None
    address: str = ""
    session: Session | None = None

    @property
    def token(self) -> str:
        """Return the token that our own forms carry; "" if nobody has logged in."""
        return self.session.token if self.session else ""


class Access:
    """Checks requests, one at a time. It keeps no state between them."""

    def __init__(self, settings: Settings, keys: Keyring, sessions: Sessions) -> None:
        self.keys = keys
        self.sessions = sessions
        self._open = settings.open
        self._hosts = {host.lower() for host in settings.hosts}
        self._cors = settings.cors

    def caller(
        self,
        headers: Headers,
        peer: str,
        *,
        starts: bool,
        secure: bool = False,
        cookie: str = "",
        token: Callable[[], str] = str,
    ) -> Caller:
        """Return who sends this request. Raises RequestError: missing_key, invalid_key, bad_host, bad_origin.

        - `peer` is the address that the connection comes from.
        - `starts`: the request changes or costs something.
        - `secure`: it came over HTTPS.
        - `cookie` is the log-in's, if there is one.
        - `token` gives what a form carries. It is asked only where no header says whose page the form was on.

        A key in the request itself is known to whoever wrote the request. A cookie isn't: browsers add it to other
        sites' requests, too. So requests with a cookie, or without keys, obey the Origin rule.
        """
        if not self.keys:
            if not self._open:
                check_way(headers, peer, self._hosts)
            if starts:
                check_page(headers, secure, self._cors)
            return Caller(ANYONE, address=peer)
        if given := bearer(headers):
            return Caller(*self.owner(given), address=peer)
        session = self.sessions.find(cookie) if cookie else None
        if session is None:
            raise RequestError(
                "missing_key",
                "This server asks for an access key: send it as Authorization: Bearer KEY, or log in at /login.",
                headers={"WWW-Authenticate": CHALLENGE},
            )
        if starts and not check_origin(headers, secure) and not is_same(token(), session.token):
            raise unsaid()
        return Caller(session.key.name, session.key, peer, session)

    def owner(self, given: str) -> tuple[str, KeySettings]:
        """Return the name of a key's owner. Raises RequestError (invalid_key)."""
        key = self.keys.find(given)
        if key is None:
            raise RequestError(
                "invalid_key",
                "This access key is not valid; it may have been revoked. Ask the operator for a new one.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'},
            )
        return key.name, key

    def operates(self, caller: Caller, headers: Headers) -> bool:
        """Return True for an operator's key; without keys for whoever is on this machine, also where everybody is
        served."""
        if caller.key is not None:
            return caller.key.operator
        try:
            check_way(headers, caller.address, LOOPBACK)
        except RequestError:
            return False
        return True

    def check_operator(self, caller: Caller, headers: Headers) -> None:
        """Raise RequestError (operator_only) for everybody else."""
        if not self.operates(caller, headers):
            where = "" if caller.key else ": ask on the server itself"
            raise RequestError("operator_only", f"This address is for operators{where}. {MAKE_ONE}")


def bearer(headers: Headers) -> str:
    """The key in Authorization, or in x-api-key as Anthropic's clients send it; "" where there is none. The scheme's
    name may be in any case (RFC 9110, 11.1)."""
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    return (credentials if scheme.lower() == "bearer" else headers.get("x-api-key", "")).strip()
