"""/healthz and /readyz, for load balancers. They never ask an upstream."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from millstream.views.services import services

operator = Blueprint("operator", __name__)


@operator.get("/healthz")
def healthz() -> Response:
    """The worker's loop turns."""
    return _plain({"status": "ok"}, 200)


@operator.get("/readyz")
def readyz() -> Response:
    """New answers are taken: 503 while this worker is full or about to leave."""
    trouble = services().streams.trouble()
    return _plain({"status": trouble or "ok"}, 503 if trouble else 200)


def _plain(values: dict[str, str], status: int) -> Response:
    response = jsonify(values)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
