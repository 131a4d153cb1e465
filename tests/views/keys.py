"""Two people with a key each, and an operator."""

from __future__ import annotations

from millstream.access.keyring import digest
from millstream.settings import KeySettings

ANNA = KeySettings("anna", digest("ms-anna"))
BOB = KeySettings("bob", digest("ms-bob"))
CHIEF = KeySettings("chief", digest("ms-chief"), operator=True)
KEYS = (ANNA, BOB, CHIEF)
OWN_PAGE = {"Origin": "http://localhost"}


def with_key(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer ms-{name}"}


def log_in(client, name: str = "anna", **options: object):
    return client.post("/login", data={"key": f"ms-{name}", **options}, headers=OWN_PAGE)
