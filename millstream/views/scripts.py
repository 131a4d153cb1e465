"""GET /page.js: the chat page's scripts joined into one file, which a browser loads once and caches."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, request

scripts = Blueprint("scripts", __name__)

# Files of static/page/ in load order: a file follows those that it uses. The page's head loads begin.js itself.
ORDER = """
    elements icons words language store preferences speech scrolling plain undo webstorage indexeddb tabs
    archive older branches talks drafts address title panel menu sheet keylist failure facts clipboard notice
    versions reading carried question answer thread stateline attachments composer own signin exporting
    importing search talklist rail storage offline notify settings answering progress asking running carrying
    conversation keys start
""".split()  # noqa: SIM905 — read as a text
YEAR = 31536000  # s


@scripts.get("/page.js")
def joined() -> Response:
    """Return the scripts. They may be cached for a year if the address has their version; otherwise revalidate."""
    body, current = _joined(Path(current_app.root_path))
    response = Response(body, content_type="text/javascript; charset=utf-8")
    same = request.args.get("v") == current
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if same else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.set_etag(current)
    response.make_conditional(request)
    return response


def version() -> str:
    """Return the version in the address of /page.js, which changes with the scripts."""
    return _joined(Path(current_app.root_path))[1]


@cache
def _joined(root: Path) -> tuple[bytes, str]:
    body = b"\n".join((root / "static" / "page" / f"{name}.js").read_bytes() for name in ORDER)
    return body, hashlib.sha256(body).hexdigest()[:16]
