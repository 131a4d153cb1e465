"""The routes of all other APIs: one blueprint per dialect, made from the dialect's line in the table."""

from __future__ import annotations

import hashlib
import secrets
import time
from functools import partial
from math import inf
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, g, request
from msgspec.structs import replace

from millstream.access import Caller
from millstream.dialects import Dialect, Recall, Recalled
from millstream.dialects.blocks import Blocks
from millstream.dialects.fields import Fields, decode, wrong
from millstream.dialects.foreign import Object
from millstream.dialects.messages.door import MESSAGES
from millstream.dialects.table import DOORS
from millstream.errors import MillstreamError, NotFound
from millstream.events import TERMINAL, Call, Event, Meta
from millstream.formats import Format
from millstream.formats.objects import to_json
from millstream.question import Question
from millstream.responses import HEADERS, Outlet
from millstream.sockets.client import Client
from millstream.streams import Follower, Former
from millstream.views import instructions, intake, streams
from millstream.views.services import services
from millstream.views.whole import Document, whole

ROOTS = [(f"{root}/", dialect) for dialect in DOORS for root in dialect.under]


def register(app: Flask) -> None:
    app.before_request(_enter)
    app.after_request(_name)
    for dialect in DOORS:
        door = Blueprint(dialect.name, __name__)
        door.post(dialect.path, endpoint="ask")(partial(ask, dialect))
        app.register_blueprint(door)


def _enter() -> None:
    """Note the dialect of this request. Errors have its shape, even if the address does not exist."""
    path = request.path
    for root, dialect in ROOTS:
        if f"{path}/".startswith(root):
            enter(dialect)
    if path.startswith("/v1/models") and "anthropic-version" in request.headers:
        enter(MESSAGES)


def enter(dialect: Dialect) -> None:
    g.request_id = g.get("request_id") or secrets.token_urlsafe(16)
    g.via = dialect.via or (dialect.name, "door")
    g.dialect = dialect
    g.refuse = partial(_refused, dialect)


def _refused(dialect: Dialect, error: MillstreamError) -> Response:
    refusal = dialect.refuse(error, f"req_{g.request_id}")
    return Response(refusal.body, refusal.status, refusal.headers, content_type=refusal.content_type)


def _name(response: Response) -> Response:
    if "dialect" in g:
        for name in g.dialect.id_headers:
            response.headers[name] = g.dialect.id_prefix + g.request_id
        response.headers.pop("Vary", None)
    return response


# -- a question ---------------------------------------------------------------------------------------------------


def ask(dialect: Dialect) -> Response:
    """Answer a question, streamed or whole, as the body asks."""
    begun = _asked(dialect)  # in a frame of its own: an answer may take minutes, and a question have 20 MiB
    return begun if isinstance(begun, Response) else answer(dialect, *begun)


def _asked(dialect: Dialect) -> Response | tuple[Meta, bool, str, str]:
    """Begin the answer. Return what is not answered with events, or else the arguments of `answer`."""
    caller = intake.caller(starts=True)
    body = decode(intake.body(services().settings.max_body_v1), dialect.known)
    if (said := dialect.at_once(body, time.time())) is not None:
        intake.find(caller, model(caller, dialect, Fields(body).model()))
        return document(said)
    question = dialect.read(dialect.expand(body, recall(caller)))
    alone = dialect.detached(question) and not question.stream
    if alone and not intake.may_keep(caller):
        raise wrong("background", "is not supported here: the operator allows no answer to continue without a client")
    instructions.require_open()
    claim = intake.claim_by_key(caller, request.headers.get("Idempotency-Key"))
    digest = _digest(caller, dialect, body) if dialect.repeats or claim else ""
    repeated = digest if dialect.repeats else ""
    meta = _again(caller, repeated) or _begin(caller, dialect, question, claim, digest)
    g.request_id = meta.id
    if alone:
        if Client(request.environ).has_left():  # the client never got the id, and may ask the same again
            services().streams.former.name(digest, meta.id)
        return document(dialect.begun(meta))
    return meta, question.stream, repeated, chat_name(caller, dialect, dialect.chat(question))


def _begin(caller: Caller, dialect: Dialect, question: Question, claim: str | None, digest: str) -> Meta:
    """Start the answer, or find the one with the same Idempotency-Key. If the client has no way to resume, the answer
    ends when it leaves."""
    name = chat_name(caller, dialect, dialect.chat(question))
    if dialect.once(question) and not claim:
        claim = digest
        _let_go(caller, name)
    grace = services().settings.grace if dialect.repeats or claim else 0
    call = Call(
        replace(question, model=model(caller, dialect, question.model)),
        caller=caller.name,
        grace=inf if dialect.detached(question) and intake.may_keep(caller) else grace,
        api=dialect.name,
        passing=True,
        headers={name: request.headers[name] for name in dialect.passed_headers if name in request.headers},
        echo=dialect.echo(question),
        kept=dialect.kept(question),
    )
    meta = intake.start(caller, call, claim=claim, fingerprint=digest if claim else "")
    services().streams.former.name(name, meta.id)
    return meta


def _let_go(caller: Caller, name: str) -> None:
    """Forget a failed answer, so that the same question is asked again."""
    id = services().streams.former.named(name)
    found = recall(caller)(id) if id else None
    if found and found.event and not _whole_answer(found.event):
        services().streams.former.release(found.meta.id)


def model(caller: Caller, dialect: Dialect, name: str) -> str:
    names = dialect.aliases(name)
    known = intake.models(caller) if name and len(names) > 1 else []
    return next((alias for alias in names if alias in known), name) or intake.default_model(caller)


def chat_name(caller: Caller, dialect: Dialect, name: str) -> str:
    """Return the name by which a conversation's newest answer is found; "" if the conversation has none."""
    return name and hashlib.sha256(msgspec.json.encode((caller.name, dialect.name, name))).hexdigest()


# -- the same again -----------------------------------------------------------------------------------------------


def _digest(caller: Caller, dialect: Dialect, body: Object) -> str:
    """Return a digest that is equal for bodies that ask the same, streamed or not."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    return hashlib.sha256(msgspec.json.encode((caller.name, dialect.name, asked), order="sorted")).hexdigest()


def _again(caller: Caller, digest: str) -> Meta | None:
    """Return the running answer to the same question, if its client lost the connection less than `grace` ago. Agents
    then ask again, and would be billed twice. If the answer has a follower or has failed, ask anew."""
    id = services().streams.former.named(digest, take=True)
    found = recall(caller)(id) if id else None
    if found is None or (found.event and not _worth(found)):
        return None
    g.stream = found.meta.id
    return found.meta


def _worth(found: Recalled) -> bool:
    if found.event is None or found.event.end is None or not _whole_answer(found.event):
        return False
    ended = found.meta.created + (found.event.end.duration or 0)
    return time.time() - ended <= services().settings.grace


def _whole_answer(event: Event) -> bool:
    return event.type == "done" and event.end is not None and event.end.finish_reason != "cancelled"


def closed(former: Former, body: Outlet, id: str, digest: str, chat: str) -> None:
    """Note how a response ended. If the client left early, the same question may resume the answer; otherwise not."""
    if body.end is None:
        former.name(digest, id)
    elif chat and former.named(chat) == id:
        former.named(chat, take=True)


# -- an answer ----------------------------------------------------------------------------------------------------


def answer(dialect: Dialect, meta: Meta, streamed: bool, digest: str, chat: str) -> Response:
    with streams.following(meta) as (follower, client):
        if streamed or dialect.whole is None:
            services().streams.accepted(meta.id, services().settings.status_wait)
            return follow(dialect.write(meta), follower, client, digest, chat)
        return whole(
            follower, _document(dialect, meta), client, partial(services().streams.former.name, digest, meta.id)
        )


def follow(format: Format, follower: Follower, client: Client, digest: str = "", chat: str = "") -> Response:
    response = streams.streamed(follower, format, client)
    response.headers.update(g.dialect.headers)
    body = response.response
    assert isinstance(body, Outlet)
    response.call_on_close(partial(closed, services().streams.former, body, follower.meta.id, digest, chat))
    return response


def _document(dialect: Dialect, meta: Meta) -> Document:
    events: list[Event] = []
    write = dialect.whole
    assert write is not None

    def failed(event: Event) -> msgspec.Raw:
        assert event.end and event.end.failure
        error = MillstreamError.of(event.end.failure).to_reader(operator=False)  # its text was chosen before
        return msgspec.Raw(dialect.refuse(error, f"req_{meta.id}").body)

    return Document(events.extend, lambda done: write(meta, events), failed)


def document(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, HEADERS, content_type="application/json")


# -- former streams -----------------------------------------------------------------------------------------------


def recall(caller: Caller) -> Recall:
    """Return a function that finds earlier streams of this caller."""

    def find(id: str) -> Recalled | None:
        try:
            return recalled(streams.meta(id, caller))
        except NotFound:
            return None

    return find


def recalled(meta: Meta) -> Recalled:
    """Return a stream's content so far. Raises NotFound."""
    blocks, last = Blocks(meta.id), None
    for event in services().streams.former.events(meta.id):
        blocks.add([event])
        last = event
    over = last is not None and last.type in TERMINAL
    return Recalled(meta, blocks.whole() if over else blocks, last if over else None)
