"""The first steps of each view: find the caller, read the question, choose the answer's format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, cast

import msgspec
from flask import Response, current_app, g, request
from jinja2 import Environment
from msgspec.structs import replace

from millstream.access import Caller
from millstream.dialects.fields import wrong
from millstream.errors import RequestError
from millstream.events import Call, Meta
from millstream.formats import Format, Options
from millstream.formats.html import Html
from millstream.formats.table import BY_MEDIA_TYPE, FORMATS
from millstream.negotiation import negotiate, not_acceptable
from millstream.responses import jitter
from millstream.sockets.client import BodyTimeout, deadline
from millstream.upstreams import Upstream
from millstream.views.fields import query_fields, read_fields
from millstream.views.instructions import instructed
from millstream.views.preferences import preferred
from millstream.views.question import Asked, merge
from millstream.views.services import services
from millstream.views.transport import by_event_source, step_down, via

# The names of formats, best first where the client has no preference.
STREAMED = {name: format.MEDIA_TYPE for name, format in FORMATS.items()}
DOCUMENTS = {"json": "application/json", "text": "text/plain", "html": "text/html"}
PADDING_DEFAULT = 2048  # bytes; IE 8 and 9 show nothing until they have them
PADDING_MOST = 65536  # bytes
KEY_MOST = 200  # characters of an Idempotency-Key
MEBIBYTE = 1 << 20  # bytes; a body may take `body_timeout` for each MiB


def caller(*, starts: bool) -> Caller:
    """Return the caller of this request. Raises RequestError if the caller may not ask."""
    g.caller = services().access.caller(
        request.headers,
        request.remote_addr or "",
        starts=starts,
        secure=request.is_secure,
        cookie=request.cookies.get(cookie_name(), "") if "Cookie" in request.headers else "",
        token=_token,
    )
    return cast(Caller, g.caller)


def operator() -> Caller:
    """Return the caller if it is an operator. Raises RequestError (operator_only, …)."""
    found = caller(starts=False)
    services().access.check_operator(found, request.headers)
    return found


def by_operator() -> bool:
    """Return True if the caller is an operator, who may read addresses, settings and an upstream's errors."""
    return "caller" in g and services().access.operates(g.caller, request.headers)


def cookie_name() -> str:
    """Return the log-in cookie's name. Browsers accept a `__Host-` cookie only over HTTPS, from this host, for all of
    its paths. So servers under sub-paths of one host need different names."""
    name = "__Host-millstream" if request.is_secure else "millstream"
    return name + (f"-{_digest(request.script_root)[:8]}" if request.script_root else "")


def _token() -> str:
    """Return the token of one of our own forms. Never read it from the address, which others can see."""
    form = request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")
    return str(fields().get("token", "")) if form else ""


def asked() -> dict[str, Any]:
    """Return the fields of the query string and of the body, not yet checked. Raises RequestError."""
    return merge(query(), fields())


def query() -> dict[str, str]:
    return query_fields(request.query_string)


def fields(most: int | None = None) -> dict[str, Any]:
    """Return the fields of a body of at most `most` bytes; {} if there is no body."""
    if "fields" not in g:
        use = services().settings
        most = most or (use.max_body_v1 if request.is_json else use.max_body)  # JSON may have pictures in it
        g.fields = read_fields(request.content_type or "", body(most))
        g.format = g.fields.get("format")  # later errors are sent in this format, too
    return dict(g.fields)


def body(most: int) -> bytes:
    """Return the request's body, at most `most` bytes. Raises RequestError."""
    seconds = services().settings.body_timeout * max(1.0, (request.content_length or 0) / MEBIBYTE)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError(
            "unsupported_media_type", "Send the body as it is, with no Content-Encoding.", param="Content-Encoding"
        )
    if (request.content_length or 0) > most:
        raise _too_large(most)
    try:
        with deadline(seconds):
            received = request.stream.read(most + 1)
    except BodyTimeout:
        raise RequestError("body_timeout", f"The body did not arrive within {seconds:g} s. Send it again.") from None
    except Exception as error:  # a bad chunk size or a client that left: the class depends on the server
        raise RequestError("bad_request", f"The body could not be read: {type(error).__name__}.") from None
    if len(received) > most:
        raise _too_large(most)
    if len(received) < (request.content_length or 0):  # the client left; half a question must not be paid for
        raise RequestError("bad_request", "The body ended before its Content-Length. Send it again.")
    return received


def _too_large(most: int) -> RequestError:
    return RequestError("body_too_large", f"The body is larger than {most} bytes. Shorten the conversation.")


def choose_format(name: str | None) -> type[Format]:
    """Choose the format by `?format=`, otherwise by Accept. Raises RequestError (bad_field, not_acceptable)."""
    format = BY_MEDIA_TYPE[choose_type(name, STREAMED)]
    g.chosen = format.NAME
    return format


def choose_type(name: str | None, types: Mapping[str, str]) -> str:
    """Return the media type that `?format=` names, otherwise the best one by Accept. Raises RequestError (bad_field,
    not_acceptable)."""
    if name:
        if name not in types:
            raise wrong("format", f"has to be one of {', '.join(types)}")
        return types[name]
    media_type = negotiate(request.headers.get("Accept"), tuple(types.values()))
    if media_type is None:
        raise not_acceptable(types.values())
    return media_type


def options(id: str, padding: int, *, position: int = 0, offset: int = 0) -> Options:
    """Return the format's options for this request."""
    return Options(
        url=f"{request.script_root}/streams/{id}",  # url_for would cost a tenth of a start
        root=request.script_root,
        position=position,
        offset=offset,
        padding=padding,
        retry=jitter(services().settings.retry),
        event_source=by_event_source(),
        render=_render_with(current_app.jinja_env, g.caller.token) if g.get("chosen") == Html.NAME else None,
    )


def _render_with(templates: Environment, token: str) -> Callable[[str, dict[str, Any]], str]:
    # Called in mid-stream, where the application context is gone.
    shared = {**preferred(), "token": token}
    return lambda name, values: templates.get_template(name).render({**shared, **values})


def padding(asked: dict[str, str]) -> int:
    """The padding in bytes. Raises RequestError (bad_field)."""
    value = asked.get("padding", "false")
    if value in ("true", "false"):
        return PADDING_DEFAULT if value == "true" else 0
    return whole_number("padding", value, PADDING_MOST)


def whole_number(name: str, value: str, most: int = 2**53) -> int:
    """Parse a field as a whole number. Raises RequestError (bad_field)."""
    if not (value.isascii() and value.isdigit() and len(value) <= 16 and int(value) <= most):
        raise wrong(name, f"has to be a whole number from 0 to {most}")
    return int(value)


def begin(caller: Caller, asked: Asked, *, keep_messages: bool = False) -> Meta:
    """Start the answer to a question from /chat or /streams, or find the one with the same Idempotency-Key."""
    grace = inf if asked.keep and may_keep(caller) else services().settings.grace
    call = instructed(asked, asked.model or default_model(caller))
    claimed = claim(caller, asked)
    return start(
        caller,
        replace(call, caller=caller.name, grace=grace),
        claim=claimed,
        fingerprint=asked.fingerprint() if claimed else "",
        messages=asked.messages if keep_messages else None,
    )


def start(
    caller: Caller,
    call: Call,
    *,
    claim: str | None,
    fingerprint: str = "",
    messages: list[dict[str, Any]] | None = None,
) -> Meta:
    """Start an answer. Every API calls this function. Raises MillstreamError."""
    use = services()
    call = replace(use.limits.held(caller.name, call), via=via())
    admitted: list[str] = []

    def admit(id: str) -> None:
        g.rate_limits = use.limits.admit(caller.name, caller.address, id)
        admitted.append(id)

    try:
        meta = use.streams.start(
            call,
            find(caller, call.model),
            claim=claim,
            fingerprint=fingerprint,
            messages=messages,
            admit=admit,
        )
    except BaseException:
        for id in admitted:
            use.limits.void(id)
        raise
    g.stream = meta.id
    count_step_down()
    return meta


def count_step_down() -> None:
    """Count a client's change to a lesser transport. It reports each change in exactly one request."""
    if step := step_down():
        services().metrics.stepped_down(*step)


def tell_rate_limits(response: Response) -> Response:
    """Add the headers that say what is left of the caller's limits."""
    response.headers.update(g.get("rate_limits", {}))
    return response


def may_keep(caller: Caller) -> bool:
    """Return True if this caller's answers may continue to their end without a client."""
    own = caller.key.keep if caller.key else None
    return services().settings.keep if own is None else own


def find(caller: Caller, model: str) -> Upstream:
    """Return the upstream of a model's name. Raises MillstreamError (model_not_found, model_not_allowed)."""
    if not may_ask(caller, model):
        names = ", ".join(models(caller))
        raise RequestError("model_not_allowed", f"This key may use {names}, but not {model[:100]!r}.", param="model")
    return services().models.find(model)


def may_ask(caller: Caller, model: str) -> bool:
    return not (caller.key and caller.key.models) or model in caller.key.models


def models(caller: Caller) -> list[str]:
    """Return the models that this caller may use."""
    if caller.key and caller.key.models:
        return list(caller.key.models)
    return services().models.models()


def default_model(caller: Caller) -> str:
    """Return the model for requests that name none."""
    default = services().models.default
    return default if may_ask(caller, default) else models(caller)[0]


def claim(caller: Caller, asked: Asked) -> str | None:
    """Return the claim that makes two requests the same: a digest of caller and Idempotency-Key
    (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/). For forms of our pages it is `once`
    together with the question, so a reload asks nothing and a new question is a new request."""
    once = asked.controls.get("once")
    key = request.headers.get("Idempotency-Key") or asked.controls.get("idempotency_key")
    if once and not key:
        return _digest(caller.name, "once", once, asked.fingerprint())
    return claim_by_key(caller, key)


def claim_by_key(caller: Caller, key: str | None) -> str | None:
    """Return the claim for an Idempotency-Key alone. Raises RequestError."""
    if not key:
        return None
    key = key[1:-1] if len(key) > 2 and key.startswith('"') and key.endswith('"') else key
    if len(key) > KEY_MOST or not key.isprintable():
        raise RequestError(
            "bad_field", f"An Idempotency-Key has at most {KEY_MOST} printable characters.", param="Idempotency-Key"
        )
    return _digest(caller.name, "key", key)


def _digest(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
