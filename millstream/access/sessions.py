"""Log-ins of browsers: a signed word in a cookie, and a list of those that were ended before their time.

A word names its key and its end. The signature covers the key's digest, too, so a changed key ends its log-ins.
Nothing has to be stored but who has logged out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import time
from typing import Protocol

from millstream.access.keyring import Keyring
from millstream.errors import Unavailable
from millstream.settings import BASE, KeySettings, Secret, SettingError
from millstream.settings.values import SECRET_LEAST


class Marks(Protocol):
    """Words that all workers know, and that outlive them. Both raise Unavailable where they can't be kept."""

    def put(self, word: str, seconds: int) -> None: ...
    def has(self, word: str) -> bool: ...


@dataclass(frozen=True)
class Session:
    id: str
    key: KeySettings
    ends: int  # Unix time
    token: str  # what our own forms carry


class Sessions:
    def __init__(
        self, secret: bytes, keys: Keyring, marks: Marks, lifetime: float, now: Callable[[], float] = time
    ) -> None:
        self._secret = secret
        self._keys = keys
        self._marks = marks
        self._lifetime = lifetime
        self._now = now

    def begin(self, key: KeySettings) -> str:
        """A word for the cookie."""
        word = f"{secrets.token_urlsafe(16)}.{int(self._now() + self._lifetime)}.{key.name}"
        return f"{self._sign('session', word, key.sha256)}.{word}"

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie. Return None if the cookie is not ours, has expired or was logged out, or if
        its key was changed or revoked."""
        signature, _, word = cookie.partition(".")
        id, ends, name = (*word.split(".", 2), "", "", "")[:3]
        key = self._keys.named(name)
        if key is None or not is_same(signature, self._sign("session", word, key.sha256)):
            return None
        session = Session(id, key, int(ends), self._sign("form", word, key.sha256))
        if session.ends <= self._now() or self._marks.has(_ended(id)):
            return None
        return session

    def end(self, session: Session) -> None:
        """End the session on every worker, from now on."""
        self._marks.put(_ended(session.id), max(1, ceil(session.ends - self._now())))

    def _sign(self, *parts: str) -> str:
        if not self._secret:  # this worker began when there were no keys, and has been told to leave since
            raise Unavailable("draining", "This worker is about to leave. Try again.", retry_after=1)
        mac = hmac.digest(self._secret, "\0".join(parts).encode("utf-8", "surrogateescape"), hashlib.sha256)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def is_same(given: str, own: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), own.encode())


def _ended(id: str) -> str:
    return f"ended-session/{id}"


def open_secret(setting: Secret) -> bytes:
    """`file:FILE`, which the first who asks makes (a relative one is in settings.BASE), or the secret itself. Raises
    SettingError."""
    value = setting.reveal()
    if not value.startswith("file:"):
        return value.encode()
    file = BASE / value.removeprefix("file:")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _make(file)
        found = file.read_bytes()
    except OSError as error:
        raise SettingError(f"session_secret: {file} can't be used: {error.strerror}") from error
    if len(found) < SECRET_LEAST:
        raise SettingError(f"session_secret: {file} is too short; erase it, and another one is made")
    return found


def _make(file: Path) -> None:
    """Create the file in one step: write it elsewhere, then link it. Nobody reads half a secret, and if two processes
    create it at once, both use the first."""
    draft = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(secrets.token_hex(32).encode())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
