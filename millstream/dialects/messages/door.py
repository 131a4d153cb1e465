"""The Messages API as a door."""

from __future__ import annotations

from millstream.dialects import Dialect, of_blocks
from millstream.dialects.messages.answer import NAME, Writer
from millstream.dialects.messages.failure import refuse
from millstream.dialects.messages.question import read
from millstream.dialects.messages.whole import whole

MESSAGES = Dialect(
    name=NAME,
    path="/v1/messages",
    under=("/v1/messages",),
    read=read,
    write=Writer,
    whole=of_blocks(whole),
    refuse=refuse,
    id_headers=("request-id",),
    passed_headers=("anthropic-version", "anthropic-beta"),
)
