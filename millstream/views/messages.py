"""The other addresses under /v1/messages."""

from __future__ import annotations

from flask import Blueprint, Response

from millstream.dialects.fields import decode
from millstream.dialects.messages.question import read_count
from millstream.upstreams.estimate import prompt_tokens
from millstream.views import doors, intake
from millstream.views.services import services

messages = Blueprint("messages_beside", __name__)


@messages.post("/v1/messages/count_tokens")
def count_tokens() -> Response:
    """Estimate the tokens of a question. There is no tokenizer, and no upstream is asked."""
    caller = intake.caller(starts=True)
    question = read_count(decode(intake.body(services().settings.max_body_v1)))
    intake.find(caller, question.model or intake.default_model(caller))
    return doors.document({"input_tokens": prompt_tokens(question)})
