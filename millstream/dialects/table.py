"""The doors: every dialect that programs may ask in. A new one is a folder and a line here."""

from __future__ import annotations

from millstream.dialects import Dialect
from millstream.dialects.messages import answer as messages
from millstream.dialects.messages.failure import refuse as messages_refuse
from millstream.dialects.messages.question import read as read_messages

MESSAGES = Dialect(
    "messages",
    "/v1/messages",
    ("/v1/messages",),
    read_messages,
    messages.Writer,
    messages.whole,
    messages_refuse,
    id_headers=("request-id",),
)

DOORS: tuple[Dialect, ...] = (MESSAGES,)
