"""The doors: every dialect that programs may ask in. A new one is a folder and a line here."""

from __future__ import annotations

from millstream.dialects import Dialect
from millstream.dialects.chat.failure import refuse as refuse_as_openai
from millstream.dialects.messages import answer as messages
from millstream.dialects.messages.failure import refuse as refuse_as_anthropic
from millstream.dialects.messages.question import read as read_messages
from millstream.dialects.responses import answer as responses
from millstream.dialects.responses import memory
from millstream.dialects.responses.question import echo as echo_responses
from millstream.dialects.responses.question import read as read_responses

MESSAGES = Dialect(
    "messages",
    "/v1/messages",
    ("/v1/messages",),
    read_messages,
    messages.Writer,
    messages.whole,
    refuse_as_anthropic,
    id_headers=("request-id",),
)
RESPONSES = Dialect(
    "responses",
    "/v1/responses",
    ("/v1/responses",),
    read_responses,
    responses.Writer,
    responses.whole,
    refuse_as_openai,
    echo_responses,
    memory.expand,
    memory.kept,
    lambda question: question.body.get("background") is True,
    lambda meta: responses.response(meta, "queued", []),
)

DOORS: tuple[Dialect, ...] = (MESSAGES, RESPONSES)
