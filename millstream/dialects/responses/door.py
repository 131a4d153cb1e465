"""The Responses API as a door."""

from __future__ import annotations

from millstream.dialects import Dialect, of_blocks
from millstream.dialects.chat.failure import refuse
from millstream.dialects.responses.answer import Writer
from millstream.dialects.responses.memory import expand, kept
from millstream.dialects.responses.question import NAME, echo, read
from millstream.dialects.responses.response import response, response_id, whole

RESPONSES = Dialect(
    name=NAME,
    path="/v1/responses",
    under=("/v1/responses",),
    read=read,
    write=Writer,
    whole=of_blocks(whole),
    refuse=refuse,
    expand=expand,
    echo=echo,
    kept=kept,
    detached=lambda question: question.body.get("background") is True,
    known_as=response_id,
    begun=lambda meta: response(meta, "queued", []),
)
