"""Make access keys, and find the owner of a given key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from millstream.settings import KeySettings

PREFIX = "ms-"  # so that programs which look for lost secrets know one


def new_key() -> str:
    """256 random bits: too many to guess, or to find from their SHA-256; so no slow hash is needed."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return the SHA-256 that the settings file stores, in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Keyring:
    def __init__(self, keys: Iterable[KeySettings]) -> None:
        self._keys = {key.name: key for key in keys}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def named(self, name: str) -> KeySettings | None:
        return self._keys.get(name)

    def find(self, given: str) -> KeySettings | None:
        """Return the settings of a given key, or None. Takes the same time for every key, valid or not."""
        sha256, found = digest(given), None
        for key in self._keys.values():
            if hmac.compare_digest(key.sha256, sha256):
                found = key
        return found
