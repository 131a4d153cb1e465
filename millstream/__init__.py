"""Millstream: asks a language model and streams the answer to every client.

For other Flask applications: `millstream.stream(generator)`, see embed.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.embed import stream

__all__ = ["stream"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: the settings alone must not load Flask and gevent into gunicorn's arbiter.
    if name == "stream":
        from millstream.embed import stream

        return stream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
