"""/healthz and /readyz, for load balancers; /metrics, for Prometheus. They never ask an upstream."""

from __future__ import annotations

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from millstream.metrics import CONTENT_TYPE
from millstream.views import intake
from millstream.views.services import services

operator = Blueprint("operator", __name__)

NOT_KEPT = {"Cache-Control": "no-store"}


@operator.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer 200 as long as the worker's event loop runs."""
    return {"status": "ok"}, NOT_KEPT


@operator.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 if new answers can start; 503 while the worker or the disk is full, or limits can't be counted."""
    use = services()
    trouble = use.streams.trouble() or ("store_unavailable" if use.limits.trouble() else None)
    return {"status": trouble or "ok"}, 503 if trouble else 200, NOT_KEPT


@operator.get("/metrics")
def metrics() -> Response:
    """Return the metrics of all workers, for operators only. docs/metrics.md explains them."""
    intake.operator()
    return Response(services().metrics.text(), content_type=CONTENT_TYPE, headers=NOT_KEPT)
