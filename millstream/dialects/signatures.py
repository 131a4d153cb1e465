"""Signatures of thoughts on their way through a client of another dialect than the one that made them."""

from __future__ import annotations

TAG = "millstream:"


def tagged(signature: str, origin: str, door: str) -> str:
    """Return a signature for the client to keep. One from another dialect is prefixed with that dialect's name."""
    return signature if not signature or origin == door else f"{TAG}{origin}:{signature}"


def untagged(kept: str, door: str) -> tuple[str, str]:
    """The signature and the dialect that made it."""
    if not kept.startswith(TAG):
        return kept, door
    origin, _, signature = kept.removeprefix(TAG).partition(":")
    return signature, origin


def is_foreign(kept: object) -> bool:
    """True if another dialect made the signature, or nobody: an upstream refuses signatures of others."""
    return not isinstance(kept, str) or not kept or kept.startswith(TAG)
