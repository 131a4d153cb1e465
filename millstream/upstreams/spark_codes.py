"""The meaning of Spark's error codes, and what to do: https://www.xfyun.cn/doc/spark/接口说明.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from msgspec import Struct

from millstream.dialects.reasons import reason_in
from millstream.dialects.spark.reader import SENSITIVE
from millstream.errors import UpstreamError
from millstream.settings import Secret
from millstream.upstreams.refusals import refusal, said_by
from millstream.upstreams.spark_signing import SKEW

LIMITED = "upstream_limited"


class Meaning(Struct, frozen=True):
    """The meaning of a code. `says` continues a sentence that begins with the upstream's name. `again` means that a
    retry before the first token makes sense and isn't billed; `elsewhere` that only another upstream can help. `wait`
    is in seconds."""

    says: str
    code: str = "upstream_refused"
    again: bool = False
    elsewhere: bool = False
    wait: float | None = None


CODES = {
    10000: Meaning("failed to upgrade to WebSocket. Ask again", "upstream_broke"),
    10001: Meaning("failed to read the question. Ask again", "upstream_broke"),
    10002: Meaning("failed to send its answer. Ask again", "upstream_broke"),
    10003: Meaning("did not understand the question's format. Look for a newer version of this server"),
    10004: Meaning("did not understand the question's schema. Look for a newer version of this server"),
    10005: Meaning("found a parameter out of its range. Check temperature, max_tokens and the model", "bad_request"),
    10006: Meaning(
        "is already connected for this user, who may have one connection. Wait for the other answer", LIMITED
    ),
    10007: Meaning("is still busy with this user's previous question. Wait for that answer", LIMITED, again=True),
    10008: Meaning("has no capacity left. Try again later", LIMITED, again=True),
    10009: Meaning("did not reach its engine. Try again", "upstream_broke", again=True),
    10010: Meaning("heard nothing right from its engine. Try again", "upstream_broke", again=True),
    10011: Meaning("could not send to its engine. Try again", "upstream_broke", again=True),
    10012: Meaning("has an error in its engine. Try again", "upstream_broke", again=True),
    10013: Meaning("refused the question for its content. Rephrase it", "content_filter"),
    10014: Meaning("took its answer back for its content. Rephrase the question", "content_withdrawn"),
    10015: Meaning("has this app_id on its blacklist. Ask iFlytek", "upstream_auth"),
    10016: Meaning("does not authorise this app_id for the model. Get it in iFlytek's console", "upstream_auth"),
    SENSITIVE: Meaning("found its answer sensitive", "content_filter"),
    10021: Meaning("refused the question in its audit. Rephrase it", "content_filter"),
    10110: Meaning("is busy. Try again later", LIMITED, again=True),
    10163: Meaning(
        "found the parameters not to fit its engine. Check temperature, max_tokens and the model", "bad_request"
    ),
    10222: Meaning("has trouble in its network. Try again", "upstream_broke", again=True),
    10223: Meaning("found no engine that is free. Try again", "upstream_broke", again=True),
    10404: Meaning(
        "found address and domain not to belong together. Check that base_url leads each path on as it is"
    ),
    10907: Meaning("can't take so many tokens. Shorten the conversation", "bad_request"),
    11200: Meaning("has no authorisation or quota left for this app_id. See iFlytek's console", elsewhere=True),
    11201: Meaning(
        "has reached the limit of today. Ask tomorrow, or raise it in iFlytek's console", LIMITED, elsewhere=True
    ),
    11202: Meaning("has reached the limit of this second. Try again", LIMITED, again=True, wait=1.0),
    11203: Meaning("has reached the limit of answers at one time. Try again later", LIMITED, again=True),
}
UNKNOWN = Meaning("failed with a code that is not known here. Ask again", "upstream_broke")


def failure(name: str, code: int, message: str, secrets: Iterable[Secret], begun: bool) -> UpstreamError:
    """Return the error for a frame with a code other than 0. `begun` means that a part of the answer was shown."""
    meaning = CODES.get(code, UNKNOWN)
    ours = "upstream_broke" if begun and meaning.code in ("upstream_refused", LIMITED) else meaning.code
    what, _, advice = meaning.says.partition(". ")
    return UpstreamError(
        ours,
        f'upstream "{name}" {what} (code {code}{said_by(message, secrets)}).{advice and f" {advice}."}',
        paid=begun or not meaning.again,
        elsewhere=meaning.elsewhere and not begun,
        retry_after=None if begun else meaning.wait,
    )


def handshake(
    name: str, status: int, headers: Mapping[str, str], body: bytes, now: float, secrets: Iterable[Secret]
) -> UpstreamError:
    """Return the error for a refused upgrade. `now` is this machine's clock, in Unix time."""
    secrets = tuple(secrets)
    said = reason_in(body).message
    if status in (401, 403):
        what, advice = _unauthorised(status, said, headers, now)
        said = said_by(said, secrets)
        return UpstreamError(
            "upstream_auth", f'upstream "{name}" refused the handshake: {what} (HTTP {status}{said}). {advice}.'
        )
    return refusal(name, status, headers, body, secrets)


def _unauthorised(status: int, said: str, headers: Mapping[str, str], now: float) -> tuple[str, str]:
    said = said.lower()
    if "ip address" in said:
        return "this machine's address is not allowed", "Add it to the list of addresses in iFlytek's console"
    if "date" in said:
        off = _skew(headers.get("Date", ""), now)
        says = "wrong" if off is None else f"{abs(off)} s {'ahead' if off > 0 else 'behind'}"
        if off is not None and abs(off) < SKEW:
            return f"the date is not accepted, and the clock is only {says}", "Check what base_url leads to"
        return f"this machine's clock is {says}", f"Set it; {SKEW} s are tolerated"
    if "does not match" in said:
        return "the signature does not match", "Check the api_secret, and that base_url leads on Host as it is"
    if "cannot be verified" in said:
        return "the signature can't be verified", "Check the api_key and the api_secret"
    if status == 401:
        return "the key is not accepted", "Check the api_key, and that base_url is the right address"
    return "this is not allowed", "Check the api_key, the api_secret and what iFlytek's console allows"


def _skew(date: str, now: float) -> int | None:
    try:
        return round(now - parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None
