"""The doors for other dialects than our own: one blueprint each, made from the dialect's line in the table."""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from msgspec.structs import replace

from millstream.access import Caller
from millstream.dialects import Dialect
from millstream.dialects.blocks import Blocks
from millstream.dialects.chat import question as chat
from millstream.dialects.fields import decode
from millstream.dialects.table import DOORS
from millstream.errors import MillstreamError, Unavailable
from millstream.events import TERMINAL, Call, Meta
from millstream.formats import Format
from millstream.formats.objects import to_json
from millstream.question import Question
from millstream.responses import HEADERS
from millstream.sockets.client import Client
from millstream.streams import Follower
from millstream.views import instructions, intake, streams
from millstream.views.services import services


def register(app: Flask) -> None:
    app.before_request(_enter)
    app.after_request(_name)
    for dialect in DOORS:
        door = Blueprint(dialect.name, __name__)
        door.post(dialect.path, endpoint="ask")(partial(ask, dialect))
        app.register_blueprint(door)


def _enter() -> None:
    """Whose door this is, for errors too, also where there is nothing at the address."""
    for dialect in DOORS:
        if any(request.path == root or request.path.startswith(f"{root}/") for root in dialect.under):
            enter(dialect)


def enter(dialect: Dialect) -> None:
    g.request_id = g.get("request_id") or secrets.token_urlsafe(16)
    g.via = (dialect.name, "door")
    g.dialect = dialect
    g.refuse = partial(_refused, dialect)


def _refused(dialect: Dialect, error: MillstreamError) -> Response:
    refusal = dialect.refuse(error, f"req_{g.request_id}")
    return Response(refusal.body, refusal.status, refusal.headers, content_type=refusal.content_type)


def _name(response: Response) -> Response:
    if "dialect" in g:
        for name in g.dialect.id_headers:
            response.headers[name] = f"req_{g.request_id}"
        response.headers.pop("Vary", None)
    return response


def ask(dialect: Dialect) -> Response:
    """An answer streamed or whole, as the body says."""
    caller = intake.caller(starts=True)
    body = intake.body(services().settings.max_body_v1)
    question = dialect.read(decode(body))
    instructions.require_open()
    return answer(dialect, begin(caller, dialect, question, body), question.stream)


def begin(caller: Caller, dialect: Dialect, question: Question, body: bytes, **more: Any) -> Meta:
    """Starts the answer, or finds the one that the same Idempotency-Key began. `more` are fields of the Call."""
    claim = intake.claim_by_key(caller, request.headers.get("Idempotency-Key"))
    call = Call(
        model=question.model or intake.default_model(caller),
        messages=chat.messages(question),
        options=chat.options(question),
        caller=caller.name,
        grace=services().settings.grace,
        api=dialect.name,
        question=question,
        echo=dialect.echo(question),
    )
    fingerprint = hashlib.sha256(dialect.name.encode() + b"\0" + body).hexdigest() if claim else ""
    meta = intake.start(caller, replace(call, **more), claim=claim, fingerprint=fingerprint)
    g.request_id = meta.id
    return meta


def answer(dialect: Dialect, meta: Meta, streamed: bool) -> Response:
    client = Client(request.environ, direct=True)
    follower = services().streams.follow(meta, peer=client)
    with streams.watched(client, follower):
        if streamed:
            services().streams.accepted(meta.id, services().settings.status_wait)
            return follow(dialect.write(meta), follower, client)
        response = _whole(dialect, follower)
        client.unwatch()
        return response


def follow(format: Format, follower: Follower, client: Client) -> Response:
    response = streams.streamed(follower, format, client)
    response.headers.update(g.dialect.headers)
    return response


def _whole(dialect: Dialect, follower: Follower) -> Response:
    """Waits for the end; a failure keeps its status."""
    blocks = Blocks(follower.meta.id)
    for batch in follower:
        blocks.add(batch)
        if batch and batch[-1].type in TERMINAL:
            g.end = batch[-1]
            streams.raise_failure(batch[-1])
            return document(dialect.whole(follower.meta, blocks.whole(), batch[-1]))
    # The client has left, then nobody reads this; or this worker leaves, and the stream runs on another one.
    raise Unavailable("draining", "This worker has to leave before the answer is whole. Try again.", retry_after=1)


def document(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, HEADERS, content_type="application/json")
