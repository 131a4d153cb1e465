"""A Flask request that looks up headers without raising an exception for each missing one. We look up twenty."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import flask
from werkzeug.datastructures import EnvironHeaders


class Request(flask.Request):
    def __init__(self, environ: dict[str, Any], *args: Any, **named: Any) -> None:
        super().__init__(environ, *args, **named)
        self.headers = _Headers(environ)


class _Headers(EnvironHeaders):
    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]
        if type is not None:
            return super().get(key, default, type)
        return self.environ.get(_name(key), default)

    def __contains__(self, key: object) -> bool:
        return _name(str(key)) in self.environ


@lru_cache(200)
def _name(header: str) -> str:
    """Return the header's name in the environ (PEP 3333)."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
