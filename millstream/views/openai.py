"""OpenAI's API, for the clients made for it: https://platform.openai.com/docs/api-reference"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from flask import Blueprint, Response, g, request

from millstream.access import Caller
from millstream.dialects.chat.question import offers_functions
from millstream.dialects.chat.whole import assemble
from millstream.dialects.chat.writer import FUNCTIONS, Chunks, Writer
from millstream.dialects.messages import models as anthropic
from millstream.events import Api, Call, End, Meta
from millstream.formats.objects import to_json
from millstream.responses import HEADERS
from millstream.sockets.client import Client
from millstream.views import instructions, intake, streams
from millstream.views.openai_request import Request, read
from millstream.views.services import services
from millstream.views.whole import Document, whole

openai = Blueprint("openai", __name__)


@openai.before_app_request  # for addresses that nobody has, too
def _begin() -> None:
    if request.path.startswith("/v1/"):
        g.format = "json"  # Accept changes nothing here, of errors neither
        g.request_id = secrets.token_urlsafe(16)


@openai.after_app_request
def _name(response: Response) -> Response:
    if "request_id" in g:
        response.headers["x-request-id"] = g.request_id
        response.headers.pop("Vary", None)
    return response


@openai.post("/v1/chat/completions")
def chat_completions() -> Response:
    """An answer in chunks, or whole: as the body's `stream` says."""
    return _answer("openai")


@openai.post("/v1/completions")
def completions() -> Response:
    """The same for the legacy API: a prompt instead of messages."""
    return _answer("completions")


@openai.get("/v1/models")
def models() -> Response:
    """The models that can be asked for by name."""
    caller = intake.caller(starts=False)
    if "dialect" in g:
        return _json(anthropic.models(intake.models(caller)))
    return _json({"object": "list", "data": [_model(caller, name) for name in intake.models(caller)]})


@openai.get("/v1/models/<path:id>")
def model(id: str) -> Response:
    """One of them; a name with slashes, too."""
    found = _model(intake.caller(starts=False), id)
    return _json(anthropic.model(id) if "dialect" in g else found)


def _model(caller: Caller, name: str) -> dict[str, Any]:
    """Raises MillstreamError (model_not_found, model_not_allowed). When a model was made is not known: 0."""
    found: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": intake.find(caller, name).name}
    if (listed := services().models.model(name)) is not None:
        can = {"tools": listed.tools, "vision": listed.vision}
        if known := {what: value for what, value in can.items() if value is not None}:
            found["capabilities"] = known
    return found


def _answer(api: Api) -> Response:
    caller = intake.caller(starts=True)
    body = intake.body(services().settings.max_body_v1)
    asked = read(body, api)
    instructions.require_open()
    meta = _start(caller, api, asked, body)
    g.request_id = meta.id
    client = Client(request.environ, direct=True)
    follower = services().streams.follow(meta, peer=client)
    with streams.watched(client, follower):
        if asked.stream:
            services().streams.accepted(meta.id, services().settings.status_wait)
            return streams.streamed(follower, Writer(meta, asked.usage), client)
        return whole(follower, _document(meta), client)


def _start(caller: Caller, api: Api, asked: Request, body: bytes) -> Meta:
    """Begins the answer, or finds the one that the same Idempotency-Key began. Who gave no key can't come back for
    the answer: then it ends as soon as the client leaves."""
    claim = intake.claim_by_key(caller, request.headers.get("Idempotency-Key"))
    call = Call(
        model=asked.model or intake.default_model(caller),
        messages=asked.messages,
        options=asked.options,
        caller=caller.name,
        grace=services().settings.grace if claim else 0,
        api=api,
        echo={FUNCTIONS: True} if offers_functions(asked.options) else {},
    )
    fingerprint = hashlib.sha256(api.encode() + b"\0" + body).hexdigest() if claim else ""
    return intake.start(caller, call, claim=claim, fingerprint=fingerprint)


def _document(meta: Meta) -> Document:
    chunks = Chunks(meta)
    frames: list[bytes] = []
    return Document(
        lambda batch: frames.extend(chunk for event in batch for chunk in chunks.of(event)),
        lambda done: assemble(frames, meta, done.end or End(meta.model, "")),
    )


def _json(document: dict[str, Any]) -> Response:
    return Response(to_json(document), content_type="application/json", headers=HEADERS)
