"""Millstream asks a language model and streams the answer to every client.

Other Flask applications can import `millstream.stream(generator)` and `millstream.client_js()`. These two need only
Flask and msgspec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.embed import client_js, stream

__all__ = ["client_js", "stream"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the commands do without Flask.
    if name in __all__:
        from millstream import embed

        return getattr(embed, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
