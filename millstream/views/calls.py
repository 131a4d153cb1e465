"""Pass other JSON calls of OpenAI's API, such as embeddings, unchanged to the model's upstream."""

from __future__ import annotations

from functools import partial

import msgspec
from flask import Blueprint, Response, g

from millstream.dialects.fields import Fields, decode
from millstream.events import Call, Meta
from millstream.question import Question
from millstream.views import instructions, intake, streams
from millstream.views.services import services
from millstream.views.whole import Document, whole

calls = Blueprint("calls", __name__)

PATHS = ("embeddings", "moderations", "rerank", "score", "classify", "images/generations")


def ask(path: str) -> Response:
    """Return the upstream's answer unchanged. Keys and limits apply, and the ledger gets a row."""
    meta = _begin(path)
    g.request_id = meta.id
    with streams.following(meta) as (follower, client):
        return whole(follower, Document(lambda batch: None, lambda done: msgspec.Raw(done.frames[0])), client)


def _begin(path: str) -> Meta:
    """Ask in a frame of its own, so that the question is not kept while the answer comes."""
    caller = intake.caller(starts=True)
    body = decode(intake.body(services().settings.max_body_v1))
    instructions.require_open()
    call = Call(
        Question(Fields(body).model() or intake.default_model(caller), (), body=body),
        caller=caller.name,
        grace=0,
        api=f"/{path}",
    )
    return intake.start(caller, call, claim=None)


for path in PATHS:
    calls.post(f"/v1/{path}", endpoint=path.replace("/", "_"))(partial(ask, path))
