"""Turn the many shapes of upstreams' errors into one UpstreamError that says what to do."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from millstream.dialects.reasons import Reason, reason_in
from millstream.errors import MENDABLE, UpstreamError
from millstream.settings import Secret
from millstream.upstreams.quotation import quote

LOOKED_AT = 4096  # characters of an error to look at


class Refused(Exception):
    """A status other than 200, and the beginning of its body. The exception's text is empty, because the body may
    contain a key."""

    def __init__(self, status: int, headers: Mapping[str, str], said: bytes) -> None:
        super().__init__()
        self.status = status
        self.headers = headers
        self.said = said


def failure(name: str, why: Reason, secrets: Iterable[Secret], elsewhere: bool = False) -> UpstreamError:
    """Return the error for a failure after status 200. `elsewhere` means that it came instead of an answer."""
    said = said_by(why.message or why.code, secrets)
    if "content_filter" in (why.code, why.type):
        return _filtered(name, said)
    if why.code in ("401", "403", "invalid_api_key") or why.type == "authentication_error":
        return _unauthorised(name, said)
    if _is_too_long(why):
        return _too_long(name, said)
    says = f'upstream "{name}" broke off with an error{said}. Ask again.'
    return UpstreamError("upstream_broke", says, elsewhere=elsewhere)


def refusal(
    name: str, status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret]
) -> UpstreamError:
    """Return the error for a status other than 200."""
    error = _refusal(name, status, headers, body, secrets)
    error.answered(status)
    return error


def _refusal(
    name: str, status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret]
) -> UpstreamError:
    why = reason_in(body)
    said = said_by(why.message, secrets)
    if 300 <= status < 400:
        to = quote(headers.get("Location", ""), secrets) or "nowhere"
        return _refused(
            name, f"redirects to {to} (HTTP {status}), which is not followed; set base_url to its real address"
        )
    if status in (401, 403):
        return _unauthorised(name, f" (HTTP {status}){said}")
    if status == 400 and "content_filter" in (why.code, why.type):
        return _filtered(name, said)
    if status == 429:
        return _limited(name, "insufficient_quota" in (why.code, why.type), headers, said)
    if status in (503, 529):  # 529 is Anthropic's: overloaded
        wait = retry_after(headers)
        return _refused(name, f"can't answer now (HTTP {status}){said}; try again later", paid=False, wait=wait)
    if status == 404:
        says = f"knows no such address or model (HTTP 404){said}; check its base_url and models"
        return _refused(name, says, elsewhere=True)
    if status in MENDABLE:  # the client can fix it; after a 502 OpenAI's SDKs would retry, and be billed again
        return UpstreamError("bad_request", f'upstream "{name}" refused the request (HTTP {status}){said}.')
    if _is_too_long(why):
        return _too_long(name, f" (HTTP {status}){said}")
    return _refused(name, f"refused the request (HTTP {status}){said}")


def _is_too_long(why: Reason) -> bool:
    """Return True if the error means that the question is too long. Many servers answer 500, or 200 with an error.
    The client has to read it, because only the client can shorten the question."""
    words = f"{why.message} {why.code} {why.type}"[:LOOKED_AT].lower()
    return "context" in words and any(word in words for word in ("length", "window", "size", "exceed", "too long"))


def _too_long(name: str, said: str) -> UpstreamError:
    return UpstreamError("bad_request", f'upstream "{name}" found the conversation too long{said}. Shorten it.')


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 1000), ("Retry-After", 1)):
        value = headers.get(name, "")
        try:
            wait = float(value) / unit
        except ValueError:
            wait = _until(value)
        if math.isfinite(wait):
            return max(0.0, wait)
    return None


def _until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return math.nan


def _limited(name: str, used_up: bool, headers: Mapping[str, str], said: str) -> UpstreamError:
    if used_up:  # a retry is useless; `paid` prevents it
        says = f'upstream "{name}" has no quota left for this key (HTTP 429){said}; check the billing of the account.'
        return UpstreamError("upstream_limited", says, elsewhere=True)
    wait = retry_after(headers)
    when = "later" if wait is None else f"in {math.ceil(wait)} s"
    says = f'upstream "{name}" takes no more requests now (HTTP 429){said}; try again {when}.'
    return UpstreamError("upstream_limited", says, paid=False, retry_after=wait)


def _unauthorised(name: str, said: str) -> UpstreamError:
    return UpstreamError("upstream_auth", f'upstream "{name}" did not accept the key{said}. Check its api_key.')


def _filtered(name: str, said: str) -> UpstreamError:
    return UpstreamError("content_filter", f'upstream "{name}" stopped at its content filter{said}. Rephrase it.')


def _refused(
    name: str, what: str, *, paid: bool = True, elsewhere: bool = False, wait: float | None = None
) -> UpstreamError:
    says = f'upstream "{name}" {what}.'
    return UpstreamError("upstream_refused", says, paid=paid, elsewhere=elsewhere, retry_after=wait)


def said_by(message: str, secrets: Iterable[Secret]) -> str:
    """Return the upstream's message, quoted, to append to ours."""
    quoted = quote(message, secrets).rstrip(".")
    return f": {quoted}" if quoted else ""
