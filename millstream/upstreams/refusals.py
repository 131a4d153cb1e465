"""Why an upstream said no: its many shapes of an error → one UpstreamError that says what to do."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from msgspec import Struct

from millstream.errors import MENDABLE, UpstreamError
from millstream.settings import Secret
from millstream.upstreams.quotation import quote

# What else than "message" and "code" a server of one's own making calls them (Baidu, MiniMax, FastAPI).
MESSAGES = ("message", "error_msg", "error_message", "err_msg", "errmsg", "msg", "detail", "status_msg")
NUMBERS = ("code", "error_code", "err_code", "errcode", "status_code")
# iFlytek sends 0 with every chunk, some gateways 200.
SUCCESS: tuple[object, ...] = (None, 0, "0", "", 200, "200", False)


class Refused(Exception):
    """A status other than 200, and the beginning of what was said with it. Its own text is empty: there may be a
    key in what was said."""

    def __init__(self, status: int, headers: Mapping[str, str], said: bytes) -> None:
        super().__init__()
        self.status = status
        self.headers = headers
        self.said = said


class Reason(Struct, frozen=True):
    """What an error body or an error frame says. `code` and `type` are text, also where they came as numbers."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""


def reason(document: object) -> Reason:
    """Finds the reason in `{"error": {…}}`, `{"error": "…"}`, `{"message", "code"}`, a list of these, or a text."""
    if isinstance(document, list):
        return reason(document[0]) if document else Reason()
    if not isinstance(document, dict):
        return Reason("" if document is None else str(document))
    inner = document.get("error") or document.get("base_resp")
    if isinstance(inner, dict | list):
        return reason(inner)
    said = [inner if isinstance(inner, str) else None, *map(document.get, MESSAGES), inner]
    message = next(filter(None, said), None)
    code = next((code for name in NUMBERS if (code := document.get(name)) is not None), None)
    return Reason(_text(message), _text(code), *(_text(document.get(name)) for name in ("type", "param")))


def is_error(document: object) -> bool:
    """Whether a JSON document that is no part of an answer tells of an error."""
    if not isinstance(document, dict):
        return False
    inner = document.get("base_resp")
    named = {**document, **inner} if isinstance(inner, dict) else document
    return document.get("success") is False or any(
        isinstance(value, str) and value not in ("", "success", "Success")
        if name in MESSAGES
        else value not in SUCCESS
        for name, value in named.items()
        if name in (*MESSAGES, *NUMBERS, "error")
    )


def reason_in(body: bytes) -> Reason:
    """The same for a body that may be JSON, plain text, HTML or nothing; JSON without a reason is one itself."""
    text = body.decode("utf-8", "replace").strip()
    try:
        why = reason(json.loads(text))
        return why if why.message or why.code or why.type else Reason(text.strip("{}[] "))
    except (ValueError, RecursionError):
        # A page of HTML explains nothing to the reader of one sentence.
        return Reason("" if text.startswith("<") else text)


def failure(name: str, why: Reason, secrets: Iterable[Secret], elsewhere: bool = False) -> UpstreamError:
    """For an error that came after the status 200. `elsewhere`: it came instead of an answer."""
    said = _said(why.message or why.code, secrets)
    if "content_filter" in (why.code, why.type):
        return _filtered(name, said)
    if why.code in ("401", "403", "invalid_api_key") or why.type == "authentication_error":
        return _unauthorised(name, said)
    says = f'upstream "{name}" broke off with an error{said}. Ask again.'
    return UpstreamError("upstream_broke", says, elsewhere=elsewhere)


def refusal(
    name: str, status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret]
) -> UpstreamError:
    """For a status other than 200."""
    error = _refusal(name, status, headers, body, secrets)
    error.answered(status)
    return error


def _refusal(
    name: str, status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret]
) -> UpstreamError:
    why = reason_in(body)
    said = _said(why.message, secrets)
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
    if status in MENDABLE:  # by the client: with a 502 OpenAI's packages would ask, and pay, again
        return UpstreamError("bad_request", f'upstream "{name}" refused the request (HTTP {status}){said}.')
    return _refused(name, f"refused the request (HTTP {status}){said}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, out of `retry-after-ms` or `Retry-After` (seconds or a date)."""
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
    if used_up:  # asking again is of no use: `paid` keeps everybody from trying
        says = f'upstream "{name}" has no quota left for this key (HTTP 429){said}; look after the account.'
        return UpstreamError("upstream_limited", says, elsewhere=True)
    wait = retry_after(headers)
    when = "later" if wait is None else f"in {math.ceil(wait)} s"
    says = f'upstream "{name}" takes no more requests now (HTTP 429){said}; try again {when}.'
    return UpstreamError("upstream_limited", says, paid=False, retry_after=wait)


def _unauthorised(name: str, said: str) -> UpstreamError:
    return UpstreamError("upstream_auth", f'upstream "{name}" did not accept the key{said}. Check its api_key.')


def _filtered(name: str, said: str) -> UpstreamError:
    return UpstreamError(
        "content_filter", f'upstream "{name}" stopped at its content filter{said}. Word it differently.'
    )


def _refused(
    name: str, what: str, *, paid: bool = True, elsewhere: bool = False, wait: float | None = None
) -> UpstreamError:
    says = f'upstream "{name}" {what}.'
    return UpstreamError("upstream_refused", says, paid=paid, elsewhere=elsewhere, retry_after=wait)


def _said(message: str, secrets: Iterable[Secret]) -> str:
    quoted = quote(message, secrets).rstrip(".")
    return f": {quoted}" if quoted else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
