"""The files that make the page an app: its manifest, the operator's logo, and the service worker for offline use.
https://www.w3.org/TR/appmanifest/, https://www.w3.org/TR/service-workers/"""

from __future__ import annotations

import json
from pathlib import Path

from flask import Blueprint, Response, current_app

from millstream.errors import RequestError
from millstream.views.preferences import preferred
from millstream.views.services import services

manifest = Blueprint("manifest", __name__)

PAPER = "#faf9f6"
ICONS = (
    {"src": "static/icons/icon-192.png", "sizes": "192x192", "type": "image/png"},
    {"src": "static/icons/icon-512.png", "sizes": "512x512", "type": "image/png"},
    {"src": "static/icons/maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
)


@manifest.get("/manifest.webmanifest")
def described() -> Response:
    """Return the manifest. Its addresses are relative, so they work under any root."""
    values, page = preferred(), services().settings.page
    name = values["say"]["name"]
    logo = {"src": "logo", "sizes": "any", "type": page.logo_type}
    document = {
        "name": name,
        "short_name": name,
        "lang": values["lang"],
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "theme_color": PAPER,
        "background_color": PAPER,
        "icons": [logo] if page.logo else ICONS,
    }
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}
    return Response(
        json.dumps(document, ensure_ascii=False), content_type="application/manifest+json", headers=headers
    )


@manifest.get("/logo")
def logo() -> Response:
    """Return the operator's logo."""
    page = services().settings.page
    if page.logo is None or not page.logo.is_file():
        raise RequestError("not_found", "This server has no logo of its own.")
    return Response(
        page.logo.read_bytes(), mimetype=page.logo_type, headers={"Cache-Control": "public, max-age=3600"}
    )


@manifest.get("/offline.js")
def offline() -> Response:
    """Return the service worker. It is not in /static, because it controls only pages beside it or below."""
    script = Path(current_app.root_path) / "static" / "offline.js"
    return Response(script.read_bytes(), mimetype="text/javascript", headers={"Cache-Control": "no-cache"})
