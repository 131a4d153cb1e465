"""useChat's own protocol as a door."""

from __future__ import annotations

from millstream.dialects import Dialect
from millstream.dialects.ui.answer import Writer
from millstream.dialects.ui.failure import refuse
from millstream.dialects.ui.question import NAME, echo, read

UI = Dialect(
    name=NAME,
    path="/ui/chat",
    under=("/ui",),
    read=read,
    write=Writer,
    refuse=refuse,
    echo=echo,
    detached=lambda question: question.body.get("keep") is True,
    chat=lambda question: str(question.body.get("id") or ""),
    # Messages have ids: a client that repeats them wants another answer.
    once=lambda question: bool(question.body.get("id")) and question.body.get("trigger") == "submit-message",
    headers={"x-vercel-ai-ui-message-stream": "v1"},
)
