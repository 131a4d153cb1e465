"""POST and GET /chat: start an answer and stream it in the same response."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from millstream.access import Caller
from millstream.errors import RequestError
from millstream.events import Meta
from millstream.formats import Format
from millstream.formats.html import Html
from millstream.formats.json import Json
from millstream.formats.sse import Sse
from millstream.negotiation import named
from millstream.responses import head
from millstream.views import intake, streams
from millstream.views.question import Asked, controls, question
from millstream.views.services import services
from millstream.views.whole import whole

chat = Blueprint("chat", __name__)

Begun = tuple[Meta, type[Format], int]  # and the padding


@chat.post("/chat")
def ask() -> Response:
    """Answer the question in the body, in the format that Accept asks for."""
    begun = _asked()  # in a frame of its own, so that the question is not kept while the answer comes
    return begun if isinstance(begun, Response) else _answer(*begun, wait=True)


def _asked() -> Response | Begun:
    caller = intake.caller(starts=True)
    fields = intake.asked()
    if position := streams.last_event_id(controls(fields)):
        return streams.resume(caller, *position, controls(fields))
    asked = question(fields)
    return _begin(caller, asked, intake.choose_format(asked.controls.get("format")))


@chat.get("/chat")
def ask_by_address() -> Response:
    """Answer a question in the query string, for EventSource, which can only send GET."""
    fields = intake.query()
    accept = request.headers.get("Accept", "")
    by_name = fields.get("format") == Sse.NAME and "image/" not in accept  # never for an image tag on another page
    if not (by_name or ("format" not in fields and named(accept, Sse.MEDIA_TYPE))):
        raise RequestError(
            "not_acceptable",
            "GET /chat starts an answer for an EventSource only: ask for text/event-stream, or use POST.",
            headers={"Accept-Post": "application/json, application/x-www-form-urlencoded, text/plain"},
        )
    caller = intake.caller(starts=True)
    if position := streams.last_event_id(fields):
        return streams.resume(caller, *position, controls(fields))
    asked = question(dict(fields))
    g.chosen = Sse.NAME
    if request.method == "HEAD":
        return head(Sse)
    return _answer(*_begin(caller, asked, Sse), wait=False)


def _begin(caller: Caller, asked: Asked, format: type[Format]) -> Begun:
    padding = intake.padding(asked.controls)
    meta = intake.begin(caller, asked, keep_messages=format is Html)
    g.pop("fields", None)
    return meta, format, padding


def _answer(meta: Meta, format: type[Format], padding: int, *, wait: bool) -> Response:
    with streams.following(meta) as (follower, client):
        if wait:
            services().streams.accepted(meta.id, services().settings.status_wait)
        options = intake.options(meta.id, padding)
        written = format(meta, options)
        response = whole(follower, written, client) if format is Json else streams.streamed(follower, written, client)
    response.headers["Content-Location"] = options.url
    return response
