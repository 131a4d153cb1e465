"""/healthz and /readyz, for load balancers; /metrics, for Prometheus. They never ask an upstream."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from millstream.metrics import CONTENT_TYPE
from millstream.views import intake
from millstream.views.services import services

operator = Blueprint("operator", __name__)


@operator.get("/healthz")
def healthz() -> Response:
    """The worker's loop turns."""
    return _plain({"status": "ok"}, 200)


@operator.get("/readyz")
def readyz() -> Response:
    """New answers are taken: 503 while this worker or the disk is full, or limits can not be counted."""
    use = services()
    trouble = use.streams.trouble() or ("store_unavailable" if use.limits.trouble() else None)
    return _plain({"status": trouble or "ok"}, 503 if trouble else 200)


@operator.get("/metrics")
def metrics() -> Response:
    """All workers' figures; docs/metrics.md says what they mean. For the operator only."""
    intake.operator()
    text = services().metrics.text()
    return Response(text, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _plain(values: dict[str, str], status: int) -> Response:
    response = jsonify(values)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
