"""All errors, in one tree. The code decides the HTTP status and the type; the message says what to do."""

from __future__ import annotations

from math import ceil
from typing import Any

from millstream.events import Failure

# HTTP status, type, codes. The type names are those of OpenAI's API where it has one.
_CODES = (
    (400, "invalid_request_error", "bad_json bad_field unknown_field bad_position bad_request content_filter"),
    (400, "invalid_request_error", "previous_response_not_found"),
    (401, "authentication_error", "missing_key invalid_key"),
    (403, "permission_error", "model_not_allowed bad_origin bad_host operator_only"),
    (404, "invalid_request_error", "stream_not_found model_not_found not_found"),
    (405, "invalid_request_error", "method_not_allowed"),
    (406, "invalid_request_error", "not_acceptable"),
    (408, "invalid_request_error", "body_timeout"),
    (409, "invalid_request_error", "preset_locked"),
    (413, "invalid_request_error", "body_too_large prompt_too_long"),
    (414, "invalid_request_error", "url_too_long"),
    (415, "invalid_request_error", "unsupported_media_type"),
    (416, "invalid_request_error", "bad_range"),
    (422, "invalid_request_error", "idempotency_key_reused"),
    (429, "rate_limit_error", "requests tokens streams budget login upstream_limited"),
    (431, "invalid_request_error", "headers_too_large"),
    (500, "server_error", "internal"),
    (502, "upstream_error", "upstream_refused upstream_auth upstream_broke upstream_protocol answer_too_long"),
    (503, "server_error", "full draining store_unavailable"),
    (504, "upstream_error", "connect_timeout first_token_timeout silence_timeout total_timeout"),
    # These occur only in a `failed` event. A late follower with nothing left to read gets the status.
    (502, "server_error", "abandoned interrupted lost content_withdrawn"),
    # Only nginx answers with these: Millstream is down, or took too long.
    (502, "server_error", "bad_gateway"),
    (504, "server_error", "gateway_timeout"),
)
CODES = {code: (status, type) for status, type, codes in _CODES for code in codes.split()}

MENDABLE = (400, 413, 422)  # upstream statuses that the client can fix; they become `bad_request`
# These errors end an answer that an upstream had begun: a retry is billed again.
PAID = frozenset({"abandoned", "interrupted", "lost", "content_withdrawn", "internal"})

# Visitors read only what they can do about an upstream's error. Addresses, keys and settings go to the operator.
PUBLIC = {
    "upstream_refused": "The model's server refuses to answer now. Try again later, or choose another model.",
    "upstream_auth": "The model's server does not accept this server's key. Tell whoever runs this server.",
    "upstream_limited": "The model's server takes no more questions now. Try again later.",
    "upstream_broke": "The model's server broke off. Ask again.",
    "upstream_protocol": "The model's server sent something unreadable. Tell whoever runs this server.",
    "connect_timeout": "The model's server can't be reached. Try again later, or choose another model.",
    "first_token_timeout": "The model did not begin to answer in time. Try again.",
    "silence_timeout": "The model fell silent in mid-answer. Ask again.",
    "total_timeout": "The model took too long for this answer. Ask for a shorter one.",
}


class MillstreamError(Exception):
    """The root of all errors. `headers` are sent with the error (Retry-After, Allow …). `message` is the full
    explanation. If `public` is set, visitors read it instead."""

    def __init__(
        self,
        code: str,
        message: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        public: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.type = CODES[code]
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers or {}
        self.public = public
        self.paid = code in PAID  # a retry may be billed again, or is pointless
        self.upstream = ""  # the name of the upstream that failed
        self.upstream_status: int | None = None

    def answered(self, upstream_status: int | None) -> None:
        """Record the upstream's status. If the client can fix its request, we answer with the same status."""
        self.upstream_status = upstream_status
        if self.code == "bad_request" and upstream_status in MENDABLE:
            self.status = upstream_status or 400

    def failure(self, upstream: str = "") -> Failure:
        """Return the error as a value for the `failed` event and the log. `upstream` names the one that was asked."""
        return Failure(
            self.public or self.message,
            self.type,
            self.code,
            self.param,
            self.headers.get("Retry-After"),
            self.message if self.public else "",
            upstream or self.upstream,
            self.upstream_status,
            self.paid,
        )

    def to_reader(self, operator: bool) -> MillstreamError:
        """Hide from this error what its reader may not know, and return it."""
        self.message, self.public = self.message if operator else (self.public or self.message), None
        return self

    @classmethod
    def of(cls, failure: Failure) -> MillstreamError:
        """Rebuild the error from a logged failure. An unknown code, from a newer worker, becomes `internal`."""
        headers = {"Retry-After": failure.retry_after} if failure.retry_after else None
        code = failure.code if failure.code in CODES else "internal"
        message, public = (failure.operator, failure.message) if failure.operator else (failure.message, None)
        error = cls(code, message, failure.param, headers, public)
        error.upstream, error.paid = failure.upstream, failure.paid
        error.answered(failure.upstream_status)
        return error


class RequestError(MillstreamError):
    """The client has to change its request."""


class UpstreamError(MillstreamError):
    """The upstream refused, broke off or fell silent.

    `paid` is False if a retry makes sense and can't be billed twice. `elsewhere` is True if that holds for another
    upstream only, for example after a wrong key or a used-up quota. `retry_after` is in seconds. `status` is the HTTP
    status of the upstream's answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        paid: bool = True,
        elsewhere: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        wait = {} if retry_after is None else {"Retry-After": str(ceil(retry_after))}
        super().__init__(code, message, headers=wait, public=PUBLIC.get(code))
        self.paid = paid
        self.elsewhere = elsewhere or not paid or code == "upstream_auth"
        self.retry_after = retry_after
        self.answered(status)


class NotFound(MillstreamError):
    """The stream does not exist or belongs to another caller. The error never tells which."""

    def __init__(self) -> None:
        super().__init__("stream_not_found", "There is no such stream here; it may have expired. Ask again.")


class Unavailable(MillstreamError):
    """The server can't take the request now: full, draining, store_unavailable. Sends Retry-After."""

    def __init__(self, code: str, message: str, retry_after: int = 5) -> None:
        super().__init__(code, message, headers={"Retry-After": str(retry_after)})


def unforeseen() -> MillstreamError:
    """Return the error for a bug in Millstream. The log has the traceback."""
    return MillstreamError("internal", "The server failed unexpectedly. Try again; the server's log has the cause.")


def body(failure: Failure) -> dict[str, Any]:
    """Return the JSON of an error: `{"error": {"message", "type", "code", "param"}}`."""
    return {"error": {"message": failure.message, "type": failure.type, "code": failure.code, "param": failure.param}}
