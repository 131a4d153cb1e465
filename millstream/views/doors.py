"""The doors for other dialects than our own: one blueprint each, made from the dialect's line in the table."""

from __future__ import annotations

import hashlib
import secrets
from functools import partial
from math import inf
from typing import Any

from flask import Blueprint, Flask, Response, g, request

from millstream.access import Caller
from millstream.dialects import Dialect, Recall, Recalled
from millstream.dialects.blocks import Blocks
from millstream.dialects.chat import question as chat
from millstream.dialects.fields import decode
from millstream.dialects.table import DOORS
from millstream.errors import MillstreamError, NotFound
from millstream.events import TERMINAL, Call, Meta
from millstream.formats import Format
from millstream.formats.objects import to_json
from millstream.question import Question
from millstream.responses import HEADERS
from millstream.sockets.client import Client
from millstream.streams import Follower
from millstream.upstreams.estimate import estimate
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
    question = dialect.read(dialect.expand(decode(body), recall(caller)))
    instructions.require_open()
    meta = begin(caller, dialect, question, body)
    if dialect.detached(question) and not question.stream:
        return document(dialect.begun(meta))
    return answer(dialect, meta, question.stream)


def recall(caller: Caller) -> Recall:
    """Finds the caller's own former streams."""

    def find(id: str) -> Recalled | None:
        try:
            return recalled(streams.meta(id, caller))
        except NotFound:
            return None

    return find


def recalled(meta: Meta) -> Recalled:
    """What a stream has come to. Raises NotFound."""
    blocks, last = Blocks(meta.id), None
    for event in services().streams.events(meta.id):
        blocks.add([event])
        last = event
    over = last is not None and last.type in TERMINAL
    return Recalled(meta, blocks.whole() if over else blocks, last if over else None)


def tool_tokens(question: Question) -> int:
    """An estimate: a tool's description and schema are a part of the prompt."""
    return estimate(to_json(chat.options(question).get("tools", [])).decode()) if question.tools else 0


def begin(caller: Caller, dialect: Dialect, question: Question, body: bytes) -> Meta:
    """Starts the answer, or finds the one that the same Idempotency-Key began."""
    claim = intake.claim_by_key(caller, request.headers.get("Idempotency-Key"))
    call = Call(
        model=question.model or intake.default_model(caller),
        messages=chat.messages(question),
        options=chat.options(question),
        caller=caller.name,
        grace=inf if dialect.detached(question) else services().settings.grace,
        api=dialect.name,
        question=question,
        echo=dialect.echo(question),
        kept=dialect.kept(question),
    )
    fingerprint = hashlib.sha256(dialect.name.encode() + b"\0" + body).hexdigest() if claim else ""
    meta = intake.start(caller, call, claim=claim, fingerprint=fingerprint)
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
    raise follower.unfinished()


def document(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, HEADERS, content_type="application/json")
