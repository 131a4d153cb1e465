"""An error as the Messages API has it: https://docs.claude.com/en/api/errors"""

from __future__ import annotations

from typing import Any

from millstream.dialects import Refusal
from millstream.errors import CODES, MillstreamError
from millstream.events import Failure
from millstream.formats.objects import to_json

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refuse(error_: MillstreamError, id: str) -> Refusal:
    """A 422 of ours is a 400 there."""
    status = 400 if error_.status == 422 else error_.status
    return Refusal(status, to_json(error(error_.failure(), id, status)))


def error(failure: Failure, id: str, status: int = 0) -> dict[str, Any]:
    status = status or CODES.get(failure.code, (500, ""))[0]
    type = TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": type, "message": failure.message}, "request_id": id}
